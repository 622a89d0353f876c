"""Operations that PyTorch's exporter does not know, in others that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ...graph import Graph, Node, function

_ADAPTIVE: dict[str, Callable[..., Tensor]] = {
    "aten.adaptive_max_pool1d.default": F.max_pool1d,
    "aten.adaptive_max_pool2d.default": F.max_pool2d,
    "aten.adaptive_max_pool3d.default": F.max_pool3d,
}


def spelled(node: Node, graph: Graph) -> Callable[..., Any]:
    """The function that a node stands for, in a form that can be exported if there is one."""
    pool = _ADAPTIVE.get(node.op)
    if pool is None:
        return function(node.op)
    wanted = [node.args[1]] if isinstance(node.args[1], int) else list(node.args[1])
    lengths = (graph.shape(node.args[0].name) or ())[-len(wanted) :]
    if any(length is None or length <= 0 or length % n for length, n in zip(lengths, wanted, strict=True)):
        return function(node.op)
    window = [(length or 0) // n for length, n in zip(lengths, wanted, strict=True)]
    return lambda x, _: pool(x, window, window)
