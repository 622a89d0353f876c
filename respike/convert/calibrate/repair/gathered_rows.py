"""Rows of a least squares problem, gathered piece by piece, in a store as they may be too many for memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..memory_or_disk import Array, Store


class Chunk(NamedTuple):
    """Some rows, all of one weight.

    Attributes:
        weight: w.
        inputs: What arrives, ``(G, rows, K)``.
        given: The current that it leads to, ``(G, rows, outputs)``.
        wanted: The one that it is to lead to, of the same shape.
    """

    weight: float
    inputs: Tensor
    given: Tensor
    wanted: Tensor


class Rows:
    """Rows of one weight in a store, in chunks of one length, so that it does not matter in which pieces they came.

    Args:
        store: Where they lie.
        length: Rows of a chunk.
        weight: w.
    """

    def __init__(self, store: Store, length: int, weight: float) -> None:
        self.store, self.length, self.weight = store, length, weight
        self.count = 0
        self._stored: list[list[tuple[Array, torch.Size]]] = []
        self._chunk: list[Tensor] = []  # the one that is being filled
        self._filled = 0

    def add(self, inputs: Tensor, given: Tensor, wanted: Tensor) -> None:
        """Rows ``(rows, G, ...)``."""
        values = [x.transpose(0, 1) for x in (inputs, given, wanted)]
        count, done = len(inputs), 0
        self.count += count
        if not self._chunk:
            self._chunk = [torch.empty(len(x), self.length, x.shape[2], device=x.device) for x in values]
        while done < count:
            some = min(count - done, self.length - self._filled)
            for chunk, x in zip(self._chunk, values, strict=True):
                chunk[:, self._filled : self._filled + some] = x[:, done : done + some]
            done, self._filled = done + some, self._filled + some
            if self._filled == self.length:
                self._keep()

    def _keep(self) -> None:
        stored = []
        for values in self._chunk:
            data = values[:, : self._filled].contiguous()
            array = self.store.array(1, data.numel() * data.itemsize)
            array.write(slice(0, 1), slice(0, array.size), data.view(-1).view(torch.uint8)[None])
            stored.append((array, data.shape))
        self._stored.append(stored)
        self._filled = 0

    def finish(self) -> None:
        """The last chunk, which may be shorter."""
        if self._filled:
            self._keep()
        self._chunk = []

    def __iter__(self) -> Iterator[Chunk]:
        for stored in self._stored:
            found = []
            for array, shape in stored:
                data = array.read(slice(0, 1), slice(0, array.size))
                found.append(data.reshape(-1).view(torch.float32).reshape(shape))
            yield Chunk(self.weight, *found)

    def drop(self) -> None:
        """Forget them."""
        for stored in self._stored:
            for array, _ in stored:
                self.store.drop(array)
        self._stored = []
