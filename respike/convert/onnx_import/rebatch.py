"""Free a network from the batch size it was exported with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ..errors import ConversionError
from .module import OnnxModule
from .ops.layout import reshape
from .step import Step

_OTHER = 37
"""Stands for any batch size; no axis of a network is likely to have it."""


def rebatch(net: OnnxModule) -> None:
    """Follow the declared shapes through the network, and let it take any batch size if it can.

    Files exported with a fixed batch write it into their reshapes: one that leaves the length of the first
    axis as it is now copies it. If the network still cannot take another batch, ``net.batch`` says which one
    it works for. Where the file leaves open more than the batch, shapes are followed when the network runs.

    Raises:
        ConversionError: a node that does not fit the shapes the file declares.
    """
    shapes = [spec.shape for spec in net.inputs]
    if any(shape is None or None in shape[1:] for shape in shapes):
        return
    declared = {shape[0] for shape in shapes if shape} - {None}
    if len(declared) != 1 or not all(shapes):  # left open; or the first axes are not one batch
        _follow(net, 2, None)
        return
    (batch,) = (n for n in declared if n is not None)

    def copy_batch(step: Step, given: Sequence[Any], made: Sequence[Any]) -> None:
        if step.function is reshape and isinstance(step.arguments[1], tuple) and not step.options["allowzero"]:
            before, after = given[0].shape, made[0].shape
            if before and after and before[0] == after[0] == batch:
                step.arguments[1] = (0, *step.arguments[1][1:])

    before = _follow(net, batch, copy_batch)
    try:
        after = _follow(net, _OTHER, None, free=True)
    except ConversionError:
        net.batch = batch
        return
    if not all(_follows(x.shape, y.shape, batch) for x, y in zip(before, after, strict=True)):
        net.batch = batch


def _follow(net: OnnxModule, batch: int, observe: Callable[..., None] | None, free: bool = False) -> list[Tensor]:
    """Outputs without values. First axes have the length ``batch`` where it is open, or everywhere if ``free``."""
    shapes = []
    for spec in net.inputs:
        first, rest = (spec.shape or ())[:1], (spec.shape or ())[1:]
        shapes.append([batch if n is None or free else n for n in first] + [n or 1 for n in rest])
    found = net.dry_run(shapes, observe)
    return list(found) if isinstance(found, tuple) else [found]


def _follows(before: Sequence[int], after: Sequence[int], batch: int) -> bool:
    """Whether the first axis went from the declared batch to the other one, and nothing else changed."""
    return tuple(after) == ((_OTHER, *before[1:]) if before and before[0] == batch else tuple(before))
