"""Tensors and numbers in a file under a digest: as safetensors and JSON, nothing that can be run.

What is read is what was written, or it is refused: a digest covers all that the file means.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as read_tensors
from safetensors.torch import save
from torch import Tensor

from .errors import InputError
from .files import written_whole
from .text import shown

PARTS = {"format", "about", "digest"}
"""What stands in the header of each file."""


class SealError(InputError):
    """A file that is not there, is of something else, or is damaged; the message is the reason, without the name."""


def write_sealed(
    path: str | os.PathLike[str], kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a file whole or not at all.

    Args:
        path: The file.
        kind: Of file, and the version of that kind.
        about: What JSON can say, by name.
        tensors: By name, of any shape and device; those of number types that safetensors knows.

    Raises:
        FileNotFoundError: the folder does not exist.
        WriteError: the system does not let it be written; what was there before is still there.
    """
    held = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    told = json.dumps(about, sort_keys=True)
    metadata = {"format": kind, "about": told, "digest": digest(kind, told, held)}
    with written_whole(path) as whole:
        whole.write_bytes(save(held, metadata))


def read_sealed(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``write_sealed`` wrote: what JSON said, and the tensors, on the CPU.

    Raises:
        SealError: no such file, another format, or one that is not as it was written.
    """
    place = Path(path)
    try:
        if not place.is_file():
            raise SealError("it is not a regular file" if place.exists() else "there is no such file")
        written = place.read_bytes()
        tensors = read_tensors(written)  # which checks sizes and places
        metadata = json.loads(written[8 : 8 + int.from_bytes(written[:8], "little")]).get("__metadata__") or {}
        if metadata.get("format") != kind:
            raise SealError(f"it is not a file of the format {kind!r}")
        if metadata.keys() != PARTS or metadata["digest"] != digest(kind, metadata["about"], tensors):
            raise SealError("its numbers are not those that were saved; the file is damaged")
        about = json.loads(metadata["about"])
        if not isinstance(about, dict):
            raise SealError("its header is not a JSON object; the file is damaged")
        return about, tensors
    except OSError as error:
        raise SealError(f"it cannot be read: {error.strerror or error}") from error
    except (SafetensorError, ValueError, RecursionError) as error:
        if isinstance(error, SealError):
            raise
        raise SealError(f"it is damaged or not a safetensors file ({shown(str(error), 200)})") from error


def header_of(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """What JSON says in a file, quickly and without trusting it; nothing of a file that is not there or is damaged."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        about = json.loads(metadata["about"]) if metadata.get("format") == kind else {}
        return about if isinstance(about, dict) else {}
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError):
        return {}


def digest(*values: Any) -> str:
    """A digest of values, bit for bit: sha256 as 64 hexadecimal digits.

    >>> from respike.sealed_file import digest
    >>> digest({"a": 1, "b": torch.zeros(2)}) == digest({"b": torch.zeros(2), "a": 1})
    True
    >>> digest(torch.zeros(2)) == digest(-torch.zeros(2))
    False

    Args:
        values: Tensors and arrays; numbers, text, bytes and None; lists, tuples and dicts of those, a list and a tuple
            being the same, and dicts in any order. Of anything else only its type counts.
    """
    found = hashlib.sha256()
    for value in values:
        _feed(found, value)
    return found.hexdigest()


class Chain:
    """A digest that grows: of all that was added, in this order.

    >>> from respike.sealed_file import Chain
    >>> whole, again = Chain(), Chain()
    >>> whole.add(1)
    >>> later = Chain(whole.value)
    >>> whole.add(2)
    >>> later.add(2)
    >>> later.value == whole.value
    True

    Args:
        value: Of another chain, to go on from it.

    Attributes:
        value: The digest, as text.
    """

    def __init__(self, value: str = "") -> None:
        self.value = value

    def add(self, *values: Any) -> None:
        """Add values, see ``digest``."""
        self.value = digest(self.value, *values)


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        value = value.detach()
        value = (value.to_dense() if value.layout != torch.strided else value).cpu().contiguous()
        found.update(f"tensor {tuple(value.shape)} {value.dtype};".encode())
        if value.numel():
            found.update(value.flatten().view(torch.uint8).numpy().data)
    elif isinstance(value, (np.ndarray, np.generic)):
        value = np.ascontiguousarray(value)
        found.update(f"array {value.shape} {value.dtype.str};".encode())
        if value.size and not value.dtype.hasobject:
            found.update(value.reshape(-1).view(np.uint8).data)
    elif isinstance(value, Mapping):
        found.update(f"dict {len(value)};".encode())
        for key in sorted(value, key=repr):
            _feed(found, key)
            _feed(found, value[key])
    elif isinstance(value, str):
        written = value.encode(errors="surrogatepass")
        found.update(f"text {len(written)};".encode() + written)
    elif isinstance(value, (bytes, bytearray)):
        found.update(f"bytes {len(value)};".encode())
        found.update(value)
    elif isinstance(value, Sequence):
        found.update(f"list {len(value)};".encode())
        for item in value:
            _feed(found, item)
    elif value is None or isinstance(value, (bool, int, float, complex)):
        found.update(f"{type(value).__name__} {value!r};".encode())
    else:
        found.update(f"object {type(value).__module__}.{type(value).__qualname__};".encode())
