"""Statistics of the ANN's activations, kept in memory of fixed size however many batches there are."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

BINS = 1024
COUNTED = 2**18
"""Values that are counted at once: each takes ten times as much memory on its way into a bin."""


class Statistic(Protocol):
    """Takes activations ``(M, C)`` batch by batch and gives one value per channel."""

    def update(self, values: Tensor) -> None: ...

    def result(self) -> Tensor: ...


class Maximum:
    """The true maximum per channel over all batches."""

    def __init__(self) -> None:
        self.highest: Tensor | None = None

    def update(self, values: Tensor) -> None:
        highest = values.amax(0)
        self.highest = highest if self.highest is None else torch.maximum(self.highest, highest)

    def result(self) -> Tensor:
        assert self.highest is not None
        return self.highest


class Percentile:
    """A percentile of the positive activations per channel, from a histogram whose range doubles on demand.

    Zeros do not count: in a sparse channel they would pull any percentile down to zero. The result is at
    most 1/``BINS`` of the channel's range above the exact one.
    """

    def __init__(self, percent: float) -> None:
        self.percent = percent
        self.counts = torch.zeros(0)
        self.range = torch.zeros(0)
        self.maximum = Maximum()

    def update(self, values: Tensor) -> None:
        self.maximum.update(values)
        highest = values.amax(0).clamp(min=0)
        channels = values.shape[1]
        if not self.counts.numel():
            self.counts = torch.zeros(channels, BINS, dtype=torch.int32, device=values.device)
            self.range = torch.zeros_like(highest)
        self.range = torch.where(self.range == 0, highest, self.range)
        while bool((wide := (highest > self.range) & (self.range > 0)).any()):
            self._double(wide)
        scale = torch.where(self.range > 0, self.range, torch.ones_like(self.range))
        first = torch.arange(channels, device=values.device) * BINS
        one = torch.ones((), dtype=torch.int32, device=values.device)
        for some in values.split(max(1, COUNTED // channels)):
            bins = (some / scale * BINS).long().clamp_(0, BINS - 1).add_(first)[some > 0]
            self.counts.view(-1).scatter_add_(0, bins, one.expand(bins.shape))

    def _double(self, wide: Tensor) -> None:
        """Twice the range for these channels: neighbouring bins merge."""
        pairs = self.counts[wide].reshape(-1, BINS // 2, 2).sum(-1, dtype=torch.int32)
        self.counts[wide] = torch.cat([pairs, torch.zeros_like(pairs)], 1)
        self.range = torch.where(wide, self.range * 2, self.range)

    def result(self) -> Tensor:
        total = self.counts.sum(1, keepdim=True)
        wanted = total.double() * self.percent / 100
        index = (self.counts.cumsum(1).double() < wanted).sum(1)
        return torch.minimum((index + 1) / BINS * self.range, self.maximum.result().clamp(min=0))


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
