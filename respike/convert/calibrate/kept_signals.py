"""One value of the prefix of a network, kept for one batch: spikes packed, everything else as it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..run.time_varying import Timed
from .memory_or_disk import Array, Store
from .packed_integers import Packing


class Kept:
    """A value ``(N, ...)``, or one that varies in time, ``(T, N, ...)``, in a store.

    It is written and read piece by piece: some rows, and some of the steps. A row is a sample; in networks whose
    samples meet, the whole batch is one row.

    Args:
        store: Where it lies.
        rows: How many there are.
        steps: T.
        packing: Of spikes that are whole numbers.
        apart: Whether the rows are samples.
    """

    def __init__(self, store: Store, rows: int, steps: int, packing: Packing | None, apart: bool) -> None:
        self.store, self.rows, self.total, self.packing, self.apart = store, rows, steps, packing, apart
        self.array: Array | None = None
        self.sums: Array | None = None  # of packed numbers over all steps, which calibration asks for again and again

    def write(self, rows: slice, start: int, value: Tensor | Timed) -> None:
        """Some rows, from step ``start`` on where it varies in time."""
        if isinstance(value, Timed):
            values = value.values.transpose(0, 1) if self.apart else value.values.unsqueeze(0)  # (rows, T, ...)
        else:
            values = value.unsqueeze(1) if self.apart else value[None, None]
        count = rows.stop - rows.start
        flat = values.reshape(count, values.shape[1], -1)
        if self.array is None:
            self.shape, self.kind = values.shape[2:], values.dtype
            self.timed, self.scale = isinstance(value, Timed), value.scale if isinstance(value, Timed) else None
            packed = self.timed and values.dtype == torch.int8 and self.packing is not None
            self.form = self.packing if packed else None
            self.steps = self.total if self.timed else 1
            self.size = math.prod(self.shape)
            self.width = self.form.width(self.size) if self.form else self.size * self.kind.itemsize
            self.array = self.store.array(self.rows, self.steps * self.width)
            if self.form:
                self.sum_type = torch.int8 if self.form.largest * self.steps <= 127 else torch.int32
                self.sums = self.store.array(self.rows, self.size * self.sum_type.itemsize)
        if self.sums is not None:
            every = slice(0, self.size * self.sum_type.itemsize)
            total = flat.sum(1, dtype=self.sum_type)
            if start:
                total += self.sums.read(rows, every).contiguous().view(self.sum_type)
            self.sums.write(rows, every, total.view(torch.uint8))
        if self.width:
            stored = self.form.pack(flat) if self.form else flat.contiguous().view(torch.uint8)
            columns = slice(start * self.width, (start + flat.shape[1]) * self.width)
            self.array.write(rows, columns, stored.flatten(1))

    def _read(self, rows: slice, steps: slice) -> Tensor:
        """``(rows, steps, ...)`` as they were written."""
        assert self.array is not None
        count, length = rows.stop - rows.start, steps.stop - steps.start
        stored = self.array.read(rows, slice(steps.start * self.width, steps.stop * self.width))
        stored = stored.unflatten(1, (length, self.width)) if self.width else stored.reshape(count, length, 0)
        found = self.form.unpack(stored, self.size) if self.form else stored.contiguous().view(self.kind)
        return found.reshape(count, length, *self.shape)

    def at(self, rows: slice, steps: slice) -> Tensor | Timed:
        """The value in these steps; the same in each if it does not vary in time."""
        found = self._read(rows, steps if self.timed else slice(0, 1))
        if not self.timed:
            return found.squeeze(1) if self.apart else found[0, 0]
        return Timed(found.transpose(0, 1) if self.apart else found.squeeze(0), self.scale)

    def means(self, rows: slice, until: Tensor, length: int) -> Tensor | Timed:
        """The mean of the first t steps, for each of several t: time's place is taken by these, ``(E, N, ...)``.

        Args:
            rows: Of which rows.
            until: t, ``(E, rows)``.
            length: Steps to read at once.
        """
        if not self.timed:
            return self.at(rows, slice(0, 1))
        if self.sums is not None and bool((until[0] == self.steps).all()):
            every = slice(0, self.size * self.sum_type.itemsize)
            total = self.sums.read(rows, every).contiguous().view(self.sum_type).reshape(-1, *self.shape)
            rest = self._totals(rows, until[1:], length)
            return self._mean(torch.cat([total[None].to(rest.dtype), rest]), until)
        return self._mean(self._totals(rows, until, length), until)

    def _totals(self, rows: slice, until: Tensor, length: int) -> Tensor:
        """The sums of the first t steps, ``(E, rows, ...)``; exact."""
        exact = torch.int32 if self.form else torch.float64
        totals = torch.zeros(len(until), rows.stop - rows.start, *self.shape, dtype=exact, device=self.store.device)
        for start in range(0, int(until.max()) if len(until) else 0, length):
            values = self._read(rows, slice(start, min(start + length, self.steps)))
            for total, ends in zip(totals, until, strict=True):
                whole = ends >= start + values.shape[1]
                if bool(whole.all()):
                    total += values.sum(1, dtype=exact)
                    continue
                for end in ends[ends > start].unique().tolist():
                    these = (ends == end).nonzero().flatten().to(total.device)
                    total[these] += values[these, : end - start].sum(1, dtype=exact)
        return totals

    def _mean(self, totals: Tensor, until: Tensor) -> Timed:
        count = until.to(totals.device).reshape(*until.shape, *[1] * len(self.shape))
        mean = (totals / count).to(torch.float32 if self.form else self.kind)
        found = Timed(mean if self.apart else mean.squeeze(1), self.scale)
        return Timed(found.real)

    def drop(self) -> None:
        """Give its room back."""
        for array in (self.array, self.sums):
            if array is not None:
                self.store.drop(array)
        self.array = self.sums = None
