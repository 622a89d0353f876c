"""Operations that PyTorch's exporter does not know, in others that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
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
    sizes = [length or 0 for length in lengths]
    if min(sizes) <= 0:
        return function(node.op)
    if all(length % n == 0 for length, n in zip(sizes, wanted, strict=True)):
        window = [length // n for length, n in zip(sizes, wanted, strict=True)]
        return lambda x, _: pool(x, window, window)
    return lambda x, _: _by_axes(x, wanted)


def _by_axes(x: Tensor, wanted: list[int]) -> Tensor:
    """An adaptive max-pool whose windows overlap: one axis after the other, window i from ⌊i·L/n⌋ to ⌈(i + 1)·L/n⌉."""
    for axis, n in enumerate(wanted, x.dim() - len(wanted)):
        length = x.shape[axis]
        bounds = [(i * length // n, -(-(i + 1) * length // n)) for i in range(n)]
        x = torch.stack([x.narrow(axis, low, high - low).amax(axis) for low, high in bounds], axis)
    return x
