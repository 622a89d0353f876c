"""Places of several axes at once, and what is written there."""

from __future__ import annotations

import torch
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op


def gather_nd(x: Tensor, places: Tensor) -> Tensor:
    """What is at each of the places ``(..., axes)``, which name the first axes of x."""
    return x[tuple(places.long().unbind(-1))]


@onnx_op("GatherND")
def _gather_nd(node: Node) -> Call:
    if node.attr_int("batch_dims"):
        raise NodeError("has batch_dims: places of their own for each sample, which is not supported")
    return node.call(gather_nd, node.x(0), node.x(1))


def scatter_nd(x: Tensor, places: Tensor, values: Tensor, reduction: str) -> Tensor:
    """X with values written, or added, at the places ``(..., axes)``, which name its first axes."""
    return torch.index_put(x, tuple(places.long().unbind(-1)), values, accumulate=reduction == "add")


@onnx_op("ScatterND")
def _scatter_nd(node: Node) -> Call:
    reduction = node.attr_string("reduction", "none", "none", "add")
    return node.call(scatter_nd, node.x(0), node.x(1), node.x(2), reduction)
