"""Free a network from the batch size it was exported with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..errors import ConversionError
from . import limits
from .module import OnnxModule
from .ops.layout import reshape
from .step import Step

_OTHER = 37
"""Stands for any batch size; no axis of a network is likely to have it."""


def rebatch(net: OnnxModule) -> None:
    """Follow the declared shapes through the network, and let it take any batch size if it can.

    Files exported with a fixed batch write it into their reshapes: one that leaves the length of the first
    axis as it is now copies it. If the network still cannot take another batch, or gives other results for
    samples that run together, ``net.batch`` says which one it works for. Where the file leaves open more than
    the batch, shapes are followed when the network runs.

    Raises:
        ConversionError: a node that does not fit the shapes the file declares.
    """
    shapes = [spec.shape for spec in net.inputs]
    if any(shape is None or None in shape[1:] or shape == (None,) for shape in shapes):
        return
    declared = {shape[0] for shape in shapes if shape} - {None}
    if len(declared) != 1 or not all(shapes):  # left open; or the first axes are not one batch
        _follow(net, 2, None)
        return
    (batch,) = (n for n in declared if n is not None)

    elements = 0

    def copy_batch(step: Step, given: Sequence[Any], made: Sequence[Any]) -> None:
        nonlocal elements
        elements += sum(x.numel() for x in made if isinstance(x, Tensor))
        if step.function is reshape and isinstance(step.arguments[1], tuple) and not step.options["allowzero"]:
            before, after = given[0].shape, made[0].shape
            if before and after and before[0] == after[0] == batch:
                step.arguments[1] = (0, *step.arguments[1][1:])

    with FlopCounterMode(display=False) as counter:
        before = _follow(net, batch, copy_batch)
    small = counter.get_total_flops() <= limits.PROBE_PRODUCTS and elements <= limits.PROBE_ELEMENTS
    try:
        after = _follow(net, _OTHER, None, free=True)
    except ConversionError:
        net.batch = batch
        return
    free = all(_follows(x.shape, y.shape, batch) for x, y in zip(before, after, strict=True))
    if not free or not small or _mixes(net, batch):
        net.batch = batch


@torch.no_grad()
def _mixes(net: OnnxModule, batch: int) -> bool:
    """Whether two batches that run together give anything but what each gives alone."""
    halves: list[list[Tensor]] = [[], []]
    for i, spec in enumerate(net.inputs):
        assert spec.shape is not None
        x = spec.noise([2 * batch, *(n or 1 for n in spec.shape[1:])], seed=i)
        for half, part in zip(halves, x.split(batch), strict=True):
            half.append(part)
    alone = [net.run(half) for half in halves]
    together = net.run([torch.cat(pair) for pair in zip(*halves, strict=True)])
    listed = [x if isinstance(x, tuple) else (x,) for x in (*alone, together)]
    for a, b, both in zip(*listed, strict=True):
        if a.dim() and len(a) == batch and not torch.allclose(torch.cat([a, b]), both, 1e-3, 1e-5, equal_nan=True):
            return True
    return False


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
