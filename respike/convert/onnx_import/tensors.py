"""Weights of an ONNX file as tensors, with every declared size checked before it is believed."""

from __future__ import annotations

import math
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype
from torch import Tensor

from ...text import shown
from ..errors import ConversionError
from . import limits
from .float64_loss import warn_of_float32

_BYTES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.UINT8: 1,
    TensorProto.INT8: 1,
    TensorProto.UINT16: 2,
    TensorProto.INT16: 2,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.FLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.UINT32: 4,
    TensorProto.UINT64: 8,
    TensorProto.BFLOAT16: 2,
}
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}


def dtype(code: int, what: str) -> torch.dtype:
    """What the importer computes with: float32 for all floats, int64 for all whole numbers, bool.

    Raises:
        ConversionError: strings, complex numbers, 8-bit floats and what else has no place here.
    """
    if code not in _BYTES:
        name = TensorProto.DataType.Name(code) if code in TensorProto.DataType.values() else str(code)
        raise ConversionError(f"{what} has the element type {name}, which is not supported: export with float32")
    if code == TensorProto.BOOL:
        return torch.bool
    return torch.float32 if code in _FLOATS else torch.int64


class TensorReader:
    """Reads the tensors of one file, within the budget of ``limits.DATA_BYTES``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.left = limits.DATA_BYTES
        self._regions: dict[tuple[Path, int, int], Any] = {}
        self._warned = False

    def read(self, proto: TensorProto, what: str) -> Tensor:
        """The tensor; those that share a region of an external file share its memory.

        Raises:
            ConversionError: sizes that contradict each other, data that is missing, out of reach or NaN.
        """
        wanted = dtype(proto.data_type, what)
        dims = list(proto.dims)
        count = math.prod(dims)
        if any(n < 0 for n in dims) or count > limits.ELEMENTS:
            raise ConversionError(f"{what} declares the shape {dims[:16]}, which no weight of a network has")
        array = self._external(proto, dims, what) if proto.data_location else self._inside(proto, count, what)
        if array.dtype == np.uint64 and array.size and array.max() > 2**63 - 1:
            raise ConversionError(f"{what} has whole numbers beyond 64 bits")
        if array.dtype.kind not in "iufb":  # bfloat16 comes as a type of its own
            array = array.astype(np.float32)
        kind = {torch.float32: np.float32, torch.int64: np.int64, torch.bool: np.bool_}[wanted]
        if array.dtype == np.float64 and not self._warned:
            self._warned = warn_of_float32(torch.from_numpy(array.astype(np.float64)), what)
        with np.errstate(over="ignore"):  # a float64 beyond float32's range is an infinity, which is judged by use
            array = array.astype(kind, copy=not array.flags.writeable or array.dtype != kind)
        tensor = torch.from_numpy(array.reshape(dims))
        if wanted is torch.float32 and bool(tensor.isnan().any()):
            raise ConversionError(f"{what} holds NaN; the network it was exported from was broken")
        return tensor

    def _inside(self, proto: TensorProto, count: int, what: str) -> Any:
        fields = ["float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"]
        filled = [name for name in fields if len(getattr(proto, name))]
        if proto.HasField("raw_data"):
            filled = [*filled, "raw_data"] if proto.raw_data or not filled else filled
            found, needed = len(proto.raw_data), count * _BYTES[proto.data_type]
        else:
            found, needed = len(getattr(proto, filled[0])) if filled else 0, count
        if len(filled) > 1:
            raise ConversionError(f"{what} stores its values twice, in {' and '.join(filled)}")
        if found != needed:
            unit = "bytes" if proto.HasField("raw_data") else "values"
            raise ConversionError(f"{what} has {found} {unit} where its shape {list(proto.dims)} needs {needed}")
        self._spend(count * _BYTES[proto.data_type], what)
        try:
            return numpy_helper.to_array(proto)
        except Exception as error:  # values in a field that is not the element type's
            raise ConversionError(f"{what} cannot be read: {error}") from error

    def _external(self, proto: TensorProto, dims: list[int], what: str) -> Any:
        path, offset, length = region(proto, self.folder, what)
        needed = math.prod(dims) * _BYTES[proto.data_type]
        length = needed if length is None else length
        if length != needed:
            raise ConversionError(f"{what} declares {length} bytes of external data where {dims} needs {needed}")
        size = path.stat().st_size
        if offset < 0 or offset + length > size:
            raise ConversionError(
                f"{what} wants bytes {offset} to {offset + length} of {path.name}, which has {size}; is it whole?"
            )
        self._spend(length, what)
        place = (path, offset, length)
        if place not in self._regions:
            with path.open("rb") as file:
                file.seek(offset)
                self._regions[place] = bytearray(file.read(length))
        if len(self._regions[place]) != length:
            raise ConversionError(f"{path.name} became shorter while it was read")
        if proto.data_type == TensorProto.BFLOAT16:
            bits = np.frombuffer(self._regions[place], dtype="<u2").astype(np.uint32) << 16
            return bits.view(np.float32)
        return np.frombuffer(self._regions[place], dtype=tensor_dtype_to_np_dtype(proto.data_type).newbyteorder("<"))

    def _spend(self, size: int, what: str) -> None:
        self.left -= size
        if self.left < 0:
            raise ConversionError(
                f"the file's weights have more than {limits.DATA_BYTES / 2**30:.0f} GiB (reached at {what})"
            )


def check_external(tensors: Sequence[TensorProto], folder: Path) -> None:
    """Whether all external data is where it may be, and not more than may be read.

    Raises:
        ConversionError: it is not.
    """
    total = 0
    for proto in tensors:
        what = f"the weight {shown(proto.name)!r}"
        _, _, length = region(proto, folder.resolve(), what)
        total += max(length or 0, math.prod(proto.dims))
        if total > limits.DATA_BYTES:
            raise ConversionError(
                f"the file declares more than {limits.DATA_BYTES / 2**30:.0f} GiB of weights (reached at {what})"
            )


def region(proto: TensorProto, folder: Path, what: str) -> tuple[Path, int, int | None]:
    """The file, offset and length of external data; the file must be a plain one inside the folder.

    Raises:
        ConversionError: it is not.
    """
    entries = {entry.key: entry.value for entry in proto.external_data}
    location = entries.get("location", "")
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries["length"]) if "length" in entries else None
    except ValueError:
        raise ConversionError(f"{what} has an offset or length in its external data that is not a number") from None
    bad = not isinstance(location, str) or not location or "\0" in location or "\\" in location
    if bad or Path(location).is_absolute() or ".." in Path(location).parts:
        raise ConversionError(
            f"{what} points to external data at the location {shown(str(location))!r}, which is no file in the ONNX "
            "file's own folder"
        )
    path = folder / location
    try:
        if not path.resolve().is_relative_to(folder):
            raise ConversionError(
                f"{what} points to external data at {shown(location)!r}, outside the ONNX file's own folder"
            )
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConversionError(f"{what} points to external data at {shown(location)!r}, which is not a regular file")
    except (OSError, RuntimeError) as error:  # the latter is how pathlib says that a link leads to itself
        reason = getattr(error, "strerror", "a symbolic link to itself")
        raise ConversionError(
            f"{what} needs the external file {shown(location)!r} beside the ONNX file: {reason}"
        ) from error
    return path.resolve(), offset, length
