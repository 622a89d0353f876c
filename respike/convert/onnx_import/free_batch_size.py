"""Free a network from the batch size it was exported with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..errors import ConversionError
from . import limits
from .batch_numbers import OTHER, Follower, Shape, shapes_of
from .module import OnnxModule
from .node_module import Step

FAR = 2**16 + 1
"""Beyond any length that a file cuts its batch to and any batch that is run at once: some cut to their own batch."""


def rebatch(net: OnnxModule) -> None:
    """Follow the declared shapes through the network, and let it take any batch size if it can.

    Files exported with a fixed batch write it into their reshapes, expansions and constants, which ``Follower`` makes
    follow the input's. If the network still cannot take another batch, or gives other results for samples that run
    together, ``net.batch`` says which one it works for. Where the file leaves open more than the batch, shapes are
    followed when the network runs.

    Raises:
        ConversionError: a node that does not fit the shapes the file declares.
    """
    shapes = [spec.shape for spec in net.inputs]
    if any(shape is None or None in shape[1:] or shape == (None,) for shape in shapes):
        return
    declared = {shape[0] for shape in shapes if shape} - {None}
    if len(declared) != 1 or not all(shapes):  # left open; or the first axes are not one batch
        _follow(net, 2)
        return
    (batch,) = (n for n in declared if n is not None)
    if not _freed(net, batch):
        _follow(net, batch)
        net.batch = batch


def _freed(net: OnnxModule, batch: int) -> bool:
    """Whether the network takes any batch size now; it is as it was if not."""
    recorded: dict[Step, tuple[list[Shape | None], list[Shape | None]]] = {}
    elements = 0

    def record(step: Step, given: Sequence[Any], made: Sequence[Any]) -> None:
        nonlocal elements
        elements += sum(x.numel() for x in made if isinstance(x, Tensor))
        recorded[step] = (shapes_of(given), shapes_of(made))

    with FlopCounterMode(display=False) as counter:
        before = _follow(net, batch, record, most=limits.ELEMENTS * min(batch, limits.BATCH))
    small = counter.get_total_flops() <= limits.PROBE_PRODUCTS * batch and elements <= limits.PROBE_ELEMENTS * batch
    if not small:
        return False
    # One sample at a time is what a file with a batch of one says itself; else it must be freed first.
    try:
        alone = _alone(net) if batch == 1 else None
    except ConversionError:  # the noise is no input for it
        return False
    follower = Follower(batch, recorded)
    for follower.unsqueezes_lead, follower.hides in itertools.product((False, True), repeat=2):
        try:
            after = _follow(net, OTHER, prepare=follower, free=True)
        except ConversionError:
            follower.undo()
            continue
        free = all(_follows(x.shape, y.shape, batch, OTHER) for x, y in zip(before, after, strict=True))
        if free and _goes_far(net, before, batch) and not _mixes(net, alone) and follower.narrow():
            net.squeezed = tuple(i for i, (x, y) in enumerate(zip(before, after, strict=True)) if x.dim() < y.dim())
            return True
        follower.undo()
    return False


def _goes_far(net: OnnxModule, before: Sequence[Tensor], batch: int) -> bool:
    """Whether many more samples than the file declares are as many in the outputs."""
    many = batch + FAR
    try:
        after = _follow(net, many, most=limits.ELEMENTS * many, free=True)
    except ConversionError:
        return False
    return all(_follows(x.shape, y.shape, batch, many) for x, y in zip(before, after, strict=True))


def _samples(net: OnnxModule, count: int, sign: int = 1) -> list[Tensor]:
    shapes = [[count, *(n or 1 for n in (spec.shape or ())[1:])] for spec in net.inputs]
    found = [spec.noise(shape, seed=i) for i, (spec, shape) in enumerate(zip(net.inputs, shapes, strict=True))]
    return [sign * x if x.is_floating_point() else x for x in found]


@torch.no_grad()
def _alone(net: OnnxModule, sign: int = 1) -> list[list[Tensor]]:
    """What the network gives for each of two samples."""
    pairs = [x.split(1) for x in _samples(net, 2, sign)]
    return [_listed(net.run([pair[i] for pair in pairs])) for i in range(2)]


@torch.no_grad()
def _mixes(net: OnnxModule, alone: list[list[Tensor]] | None) -> bool:
    """Whether two samples that run together give anything but what each gives alone."""
    for sign in (1, -1):  # what clips at 0 hides what happens to one of them
        try:
            first, second = alone if alone is not None and sign == 1 else _alone(net, sign)
            together = _listed(net.run(_samples(net, 2, sign)))
        except ConversionError:  # say, a place in the batch that is not there
            return True
        if _differ(first, second, together):
            return True
    return False


def _differ(first: list[Tensor], second: list[Tensor], together: list[Tensor]) -> bool:
    """Whether the outputs for two samples are anything but those for each, one after the other."""
    for a, b, both in zip(first, second, together, strict=True):
        apart = torch.cat([a, b]) if a.dim() == both.dim() and a.shape[:1] == (1,) else torch.stack([a, b])
        if apart.shape != both.shape:  # no batch in it, so it must be the same whatever the samples are
            apart, both = torch.stack([a, b]), both.expand(2, *both.shape)
        if apart.shape != both.shape or not torch.allclose(apart, both, 1e-3, 1e-5, equal_nan=True):
            return True
    return False


def _listed(outputs: Any) -> list[Tensor]:
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def _follow(
    net: OnnxModule,
    batch: int,
    observe: Callable[..., None] | None = None,
    prepare: Callable[..., None] | None = None,
    most: int = limits.ELEMENTS,
    free: bool = False,
) -> list[Tensor]:
    """Outputs without values. First axes have the length ``batch`` where it is open, or everywhere if ``free``."""
    shapes = []
    for spec in net.inputs:
        first, rest = (spec.shape or ())[:1], (spec.shape or ())[1:]
        shapes.append([batch if n is None or free else n for n in first] + [n or 1 for n in rest])
    return _listed(net.dry_run(shapes, observe, prepare, most))


def _follows(before: Sequence[int], after: Sequence[int], batch: int, other: int) -> bool:
    """Whether the first axis went from the declared batch to the other one, and nothing else changed."""
    if batch == 1 and tuple(after) == (other, *before):  # the file squeezes its batch of one
        return True
    return tuple(after) == ((other, *before[1:]) if before and before[0] == batch else tuple(before))
