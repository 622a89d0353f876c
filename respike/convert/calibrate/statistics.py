"""Statistics of the ANN's activations, kept in memory of fixed size however many batches there are."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import torch
from torch import Tensor

BITS = 11
BINS = 2**BITS
"""The range is less than twice the largest value: so these are more than 1024 of what there is."""
LOWEST = -1000
"""The range of a channel in which nothing was positive yet, as an exponent of two."""
COUNTED = 2**18
"""Values that are counted at once: each takes ten times as much memory on its way into a bin."""


class Statistic(Protocol):
    """Takes activations ``(M, C)`` batch by batch and gives one value per channel."""

    def update(self, values: Tensor) -> None: ...

    def merge(self, other: Any) -> None:
        """Take in as well what another one has seen: in whatever order, the result is the same."""

    def state(self) -> dict[str, Tensor]:
        """All that was seen, by name."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Have seen what ``state`` says."""

    def result(self) -> Tensor: ...


class Maximum:
    """The true maximum per channel over all batches."""

    def __init__(self) -> None:
        self.highest: Tensor | None = None

    def update(self, values: Tensor) -> None:
        self._take(values.amax(0))

    def _take(self, highest: Tensor) -> None:
        self.highest = highest if self.highest is None else torch.maximum(self.highest, highest.to(self.highest))

    def merge(self, other: Maximum) -> None:
        if other.highest is not None:
            self._take(other.highest)

    def state(self) -> dict[str, Tensor]:
        return {} if self.highest is None else {"highest": self.highest}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.highest = state.get("highest")

    def result(self) -> Tensor:
        assert self.highest is not None
        return self.highest


class Percentile:
    """A percentile of the positive activations per channel, from a histogram whose range doubles on demand.

    Zeros do not count: in a sparse channel they would pull any percentile down to zero. The range is the smallest
    power of two above the largest value, and its doubling merges neighbouring bins: so the counts do not depend on the
    order of the batches. The result is at most 1/1024 of the channel's largest value above the exact one.
    """

    def __init__(self, percent: float) -> None:
        self.percent = percent
        self.counts = torch.zeros(0)
        self.exponent = torch.zeros(0)  # of the range, (C,); 2**LOWEST where nothing is positive yet
        self.maximum = Maximum()

    def update(self, values: Tensor) -> None:
        self.maximum.update(values)
        channels = values.shape[1]
        if not self.counts.numel():
            self.counts = torch.zeros(channels, BINS, dtype=torch.int32, device=values.device)
            self.exponent = torch.full((channels,), LOWEST, dtype=torch.int32, device=values.device)
        highest = values.amax(0)
        self._widen(torch.where(highest > 0, torch.frexp(highest).exponent, LOWEST))
        first = torch.arange(channels, device=values.device) * BINS
        one = torch.ones((), dtype=torch.int32, device=values.device)
        scale = _power(BITS - self.exponent)
        for some in values.split(max(1, COUNTED // channels)):
            bins = (some * scale).long().clamp_(0, BINS - 1).add_(first)[some > 0]
            self.counts.view(-1).scatter_add_(0, bins, one.expand(bins.shape))

    def _widen(self, exponent: Tensor) -> None:
        """At least this range: it is doubled, and neighbouring bins merged, as often as it takes."""
        wanted = torch.maximum(self.exponent, exponent)
        fresh = self.counts.sum(1) == 0
        self.exponent = torch.where(fresh, wanted, self.exponent)
        while bool((wide := wanted > self.exponent).any()):
            pairs = self.counts[wide].reshape(-1, BINS // 2, 2).sum(-1, dtype=torch.int32)
            self.counts[wide] = torch.cat([pairs, torch.zeros_like(pairs)], 1)
            self.exponent = self.exponent + wide.to(self.exponent)

    def merge(self, other: Percentile) -> None:
        """See ``Statistic.merge``."""
        if not other.counts.numel():
            return
        self.maximum.merge(other.maximum)
        if not self.counts.numel():
            self.counts, self.exponent = other.counts, other.exponent
            return
        exponent = torch.maximum(self.exponent, other.exponent.to(self.exponent))
        self._widen(exponent)
        again: Percentile = copy.copy(other)
        again.counts, again.exponent = other.counts.to(self.counts), other.exponent.to(self.exponent)
        again._widen(exponent)
        self.counts = self.counts + again.counts

    def state(self) -> dict[str, Tensor]:
        """See ``Statistic.state``."""
        return {**self.maximum.state(), "counts": self.counts, "exponent": self.exponent}

    def restore(self, state: dict[str, Tensor]) -> None:
        """See ``Statistic.restore``."""
        self.counts, self.exponent = state["counts"], state["exponent"]
        self.maximum.restore(state)

    def result(self) -> Tensor:
        total = self.counts.sum(1, keepdim=True)
        wanted = total.double() * self.percent / 100
        index = (self.counts.cumsum(1).double() < wanted).sum(1)
        highest = self.maximum.result().clamp(min=0)
        return torch.minimum(((index + 1) * _power(self.exponent - BITS)).to(highest), highest)


def _power(exponent: Tensor) -> Tensor:
    """Two to the power of whole numbers, exactly, in float64."""
    return (exponent.long() + 1023 << 52).view(torch.float64)


def per_channel(values: Tensor, axis: int) -> Tensor:
    """``(M, C)``: all positions of ``(N, ...)`` as rows, with the channel ``axis`` last; one channel if it is 0."""
    if axis == 0:
        return values.reshape(-1, 1)
    return values.movedim(axis, -1).flatten(0, -2)


def rows_per_channel(values: Tensor, axis: int, which: Tensor) -> Tensor:
    """Some rows of ``per_channel``, ``(rows, C)``, without a copy of all the others.

    >>> values = torch.arange(24).reshape(2, 3, 4)
    >>> rows_per_channel(values, 1, torch.tensor([0, 5]))
    tensor([[ 0,  4,  8],
            [13, 17, 21]])
    """
    if axis == 0:
        return values.reshape(-1, 1)[which]
    last = values.movedim(axis, -1)
    return last[torch.unravel_index(which, last.shape[:-1])]
