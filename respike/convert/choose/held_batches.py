"""The calibration samples, held for as long as candidates are tried on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ..calibrate.memory_or_disk import Array, Store


class _Held(NamedTuple):
    array: Array
    shape: torch.Size
    kind: torch.dtype


class HeldBatches:
    """Batches of inputs in a store, so that they may be many; each is read again whenever it is asked for.

    To be used as a context manager, at the end of which they are forgotten.

    Args:
        batches: Lists of tensors.
        budget: Bytes in memory; what exceeds them goes to a temporary file.
        device: Of what is read.
    """

    def __init__(self, batches: Iterable[list[Tensor]], budget: int, device: torch.device) -> None:
        self.store = Store(budget, device)
        self._batches = [[self._held(x) for x in inputs] for inputs in batches]

    def _held(self, x: Tensor) -> _Held:
        data = x.contiguous().view(-1).view(torch.uint8)[None]
        array = self.store.array(1, data.shape[1])
        array.write(slice(0, 1), slice(0, array.size), data)
        return _Held(array, x.shape, x.dtype)

    def __iter__(self) -> Iterator[list[Tensor]]:
        """The batches; not to be changed."""
        for inputs in self._batches:
            yield [
                held.array.read(slice(0, 1), slice(0, held.array.size)).view(-1).view(held.kind).view(held.shape)
                for held in inputs
            ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.store.close()
