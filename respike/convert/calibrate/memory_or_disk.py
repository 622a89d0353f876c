"""Arrays of bytes, in memory as far as a budget goes, else in an unnamed temporary file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from typing import Protocol

import torch
from torch import Tensor

from ..errors import ConversionError


class Array(Protocol):
    """Bytes ``(rows, width)``."""

    size: int

    def write(self, rows: slice, columns: slice, values: Tensor) -> None:
        """Put bytes there, ``(rows, columns)``."""

    def read(self, rows: slice, columns: slice) -> Tensor:
        """The bytes there; not to be changed."""


class Store:
    """Where calibration keeps what it needs again.

    Args:
        budget: Bytes that arrays in memory may take; those for which there is no room go to a file.
        device: Of what is read.

    Attributes:
        held: Bytes in memory.
        most: The most that there ever were.
        spilled: Bytes that went to the file, in all.
    """

    def __init__(self, budget: int, device: torch.device) -> None:
        self.budget, self.device = budget, device
        self.held = self.most = self.spilled = 0
        self._file: _File | None = None

    def array(self, rows: int, width: int) -> Array:
        """A new array.

        Raises:
            ConversionError: there is no room on the disk either.
        """
        size = rows * width
        if self.held + size <= self.budget:
            self.held += size
            self.most = max(self.most, self.held)
            return _InMemory(rows, width, self.device)
        self._file = self._file or _File()
        self.spilled += size
        return _OnDisk(self._file, rows, width, self.device)

    def drop(self, array: Array) -> None:
        """Forget an array; its room is free again."""
        if isinstance(array, _OnDisk):
            array.file.give_back(array.offset, array.size)
        else:
            self.held -= array.size

    def close(self) -> None:
        """Forget all arrays."""
        if self._file is not None:
            self._file.file.close()


class _InMemory:
    def __init__(self, rows: int, width: int, device: torch.device) -> None:
        self.size = rows * width
        self.bytes = torch.empty(rows, width, dtype=torch.uint8, device=device)

    def write(self, rows: slice, columns: slice, values: Tensor) -> None:
        self.bytes[rows, columns] = values

    def read(self, rows: slice, columns: slice) -> Tensor:
        return self.bytes[rows, columns]


class _OnDisk:
    """An array in the file: row after row, so that what is read at once lies side by side."""

    def __init__(self, file: _File, rows: int, width: int, device: torch.device) -> None:
        self.file, self.width, self.device, self.size = file, width, device, rows * width
        self.offset = file.take(self.size)

    def write(self, rows: slice, columns: slice, values: Tensor) -> None:
        values = values.contiguous().cpu()
        for start, part in self._stretches(rows, columns, values):
            self.file.write(start, part)

    def read(self, rows: slice, columns: slice) -> Tensor:
        found = torch.empty(rows.stop - rows.start, columns.stop - columns.start, dtype=torch.uint8)
        for start, part in self._stretches(rows, columns, found):
            self.file.read(start, part)
        return found.to(self.device)

    def _stretches(self, rows: slice, columns: slice, values: Tensor) -> list[tuple[int, Tensor]]:
        """Where each contiguous part of the values lies in the file."""
        start = self.offset + rows.start * self.width + columns.start
        if columns.stop - columns.start == self.width:
            return [(start, values)]
        return [(start + k * self.width, row) for k, row in enumerate(values)]


class _File:
    """Room in a temporary file that has no name, so that nothing of it outlives the process, however that ends."""

    def __init__(self) -> None:
        self.folder = tempfile.gettempdir()
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed by the store
        self.end = 0
        self.gaps: list[tuple[int, int]] = []  # (offset, size), in order

    def take(self, size: int) -> int:
        """The offset of so many free bytes."""
        for k, (offset, free) in enumerate(self.gaps):
            if free >= size:
                self.gaps[k : k + 1] = [(offset + size, free - size)] if free > size else []
                return offset
        if self.gaps and sum(self.gaps[-1]) == self.end:
            self.end = self.gaps.pop()[0]
        offset, self.end = self.end, self.end + size
        return offset

    def give_back(self, offset: int, size: int) -> None:
        """Room that others may take."""
        merged: list[tuple[int, int]] = []
        for start, length in sorted([*self.gaps, (offset, size)]):
            if merged and sum(merged[-1]) == start:
                start, length = merged[-1][0], merged.pop()[1] + length
            merged.append((start, length))
        self.gaps = merged

    def write(self, offset: int, values: Tensor) -> None:
        """Put bytes there."""
        data = memoryview(values.flatten().numpy())  # type: ignore[arg-type, unused-ignore]  # older stubs need it
        try:
            self.file.seek(offset)
            while data:
                data = data[self.file.write(data) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self.file.close()
            raise ConversionError(
                f"calibration writes what does not fit into memory to temporary files, and could not write to their "
                f"folder, {self.folder}: {error.strerror}. Give fewer samples or timesteps, or set TMPDIR to a "
                "folder with more room"
            ) from error

    def read(self, offset: int, values: Tensor) -> None:
        """Fill ``values`` with the bytes there."""
        data = memoryview(values.flatten().numpy())  # type: ignore[arg-type, unused-ignore]  # older stubs need it
        self.file.seek(offset)
        while data:
            count = self.file.readinto(data)
            if not count:
                raise ConversionError(f"the temporary file of the calibration in {self.folder} was cut short")
            data = data[count:]


def free_on_disk() -> int:
    """Bytes free in the folder for temporary files."""
    return shutil.disk_usage(tempfile.gettempdir()).free
