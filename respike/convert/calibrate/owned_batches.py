"""The batches of calibration: which process has each, and in which pieces it is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...ranks import here

PART = 64
"""Samples of a batch at most, where they never meet: larger ones are cut, so that processes have alike to do."""
Found = TypeVar("Found")


class Piece(NamedTuple):
    """Some samples of one batch.

    Attributes:
        batch: Which one.
        rows: Which of its samples; all where samples meet.
        samples: How many samples these are.
        sample: The number of the first of them among all.
        total: How many samples the batch has.
    """

    batch: int
    rows: slice
    samples: int
    sample: int
    total: int


class Batches:
    """How many samples each batch has, in the order of all. Batch k is that of process k modulo their number.

    So what is computed from a batch does not depend on how many processes there are.

    Args:
        apart: Whether samples never meet.
        device: Where the work is done.
    """

    def __init__(self, apart: bool, device: torch.device) -> None:
        self.apart, self.device = apart, device
        self.counts: list[int] = []
        self.ranks = here()

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def is_own(self, batch: int) -> bool:
        """Whether a batch is this process's."""
        return batch % self.ranks.size == self.ranks.rank

    def add(self, count: int) -> list[tuple[int, slice | None]]:
        """So many samples more: the batches that these become, and which of the samples each is; None for all."""
        if not self.apart or count <= PART:
            self.counts.append(count)
            return [(len(self.counts) - 1, None)]
        parts = [slice(start, min(start + PART, count)) for start in range(0, count, PART)]
        self.counts += [part.stop - part.start for part in parts]
        return list(enumerate(parts, len(self.counts) - len(parts)))

    def leave(self, count: int) -> None:
        """Go on with at most so many samples; where these meet, with whole batches."""
        left = 0
        for k, size in enumerate(self.counts):
            if self.apart:
                self.counts[k] = min(size, count - left)
            left += self.counts[k]
            if left >= count or (not self.apart and left + sum(self.counts[k + 1 : k + 2]) > count):
                break
        del self.counts[k + 1 :]

    def pieces(self, batch: int, size: int) -> Iterator[Piece]:
        """A batch in pieces of so many samples, where these never meet."""
        before, count = sum(self.counts[:batch]), self.counts[batch]
        size = size if self.apart else max(count, 1)
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield Piece(batch, slice(start, stop) if self.apart else slice(0, 1), stop - start, before + start, count)

    def each(self, size: int, work: Callable[[Piece], Found]) -> Iterator[tuple[Piece, Found]]:
        """Every piece of all batches in their order, and what the process that has it computes from it.

        Args:
            size: As for ``pieces``.
            work: Computes it; tensors of other processes come to the device.

        Raises:
            RankError: another process has failed.
        """
        numbers = range(len(self.counts))
        if self.ranks.alone:  # one piece after the other, as all of a batch may take much memory
            yield from ((piece, work(piece)) for batch in numbers for piece in self.pieces(batch, size))
            return
        each = self.ranks.each(numbers, lambda batch: [work(piece) for piece in self.pieces(batch, size)])
        for batch, found in zip(numbers, each, strict=True):
            local = pytree.tree_map(lambda x: x.to(self.device) if isinstance(x, Tensor) else x, found)
            yield from zip(self.pieces(batch, size), local, strict=True)
