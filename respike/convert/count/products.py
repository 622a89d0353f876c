"""What a product of signals costs by events: each adds the other signal's sum to all outputs that it takes part in.

A_t·B_t − A_{t−1}·B_{t−1} = a_t·B_t + A_{t−1}·b_t for sums A, B and events a_t, b_t. So an event is a synaptic operation
for each output, as if the other signal were weights.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from ..graph import Node, function, leaves, map_leaves
from .arithmetic_work import Work
from .path_counts import short
from .signal_counts import Counts, all_ones


def product_counts(node: Node, args: list[Any], kwargs: dict[str, Any], part: str) -> Tensor:
    """Operations at each output, if the ``part`` of one signal after the other is multiplied by all of the rest.

    Args:
        node: The product.
        args: Its arguments, signals as ``Counts``.
        kwargs: Likewise.
        part: ``"events"`` or ``"current"``.
    """
    if short(node) in ("addmm", "baddbmm"):
        args = [torch.zeros((), dtype=torch.float64), *args[1:]]
    fn, total = function(node.op), torch.zeros((), dtype=torch.float64)
    for own in range(sum(isinstance(a, Counts) for a in leaves(args))):
        total = total + fn(*_but_one(args, own, part), **kwargs)
    return total


def _but_one(args: list[Any], own: int, part: str) -> list[Any]:
    """The part of one of the signals, by its number, and ones for all others; both may be the same signal."""
    number = itertools.count()

    def taken(a: Any) -> Any:
        return getattr(a, part) if isinstance(a, Counts) and next(number) == own else all_ones(a)

    found: list[Any] = map_leaves(taken, args)
    return found


def product_work(node: Node, args: list[Any], kwargs: dict[str, Any]) -> tuple[Tensor, Work, Work]:
    """One for each output, the ANN's work, and that of each step besides events: a division and a difference."""
    if short(node) in ("addmm", "baddbmm"):
        args = [torch.zeros((), dtype=torch.float64), *args[1:]]
    dense = function(node.op)(*map_leaves(all_ones, args), **kwargs)
    size = dense.numel()
    own = Work(multiplications=size) if short(node) == "mul" else Work(macs=int(dense.sum()), values=size)
    return torch.ones_like(dense), own, Work(additions=size, multiplications=size)
