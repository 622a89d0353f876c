"""What the form of a name on the command line says, and the error for a name that stands for nothing."""

from __future__ import annotations

import math
import re
from os import PathLike
from pathlib import Path

from .errors import InputError
from .text import shown


class SourceError(InputError):
    """A name that stands for nothing, or a file that cannot be used."""


def require(path: Path, what: str) -> None:
    """Whether a file is there.

    Raises:
        SourceError: it is not; says what was wanted, and where.
    """
    if not path.is_file():
        folder = "" if path.is_absolute() else f" (looked for in {Path.cwd()})"
        raise SourceError(f"there is no {what} {path}{folder}")


def is_saved(name: str) -> bool:
    """Whether a model's name is that of a file that ``SpikingNetwork.save`` wrote, by its ending."""
    return ending(name) == ".respike"


def is_onnx(name: str) -> bool:
    """Whether a model's name is that of an ONNX file, by its ending."""
    return ending(name) == ".onnx"


def ending(name: str | PathLike[str]) -> str:
    """The ending of a file's name, in small letters: ``.npz``, also of ``TEST.NPZ``."""
    return Path(name).suffix.lower()


def lengths(text: str, before: str = "") -> list[int]:
    """The shape of a sample from a text such as ``3x64x64``; ``before`` is what stands before it, for messages.

    Raises:
        SourceError: it is not of this form, or a length is below 1 or beyond what a tensor has.
    """
    found = [int(n) for n in text.split("x") if re.fullmatch(r"\d{1,12}", n, re.ASCII)]
    if len(found) != text.count("x") + 1 or min(found) < 1 or math.prod(found) >= 2**40:
        form = f"{before}3x64x64: whole numbers, 1 or more, with an x between them"
        raise SourceError(f"{before + shown(text)!r} is not of the form {form}")
    return found


def require_saved(name: str) -> None:
    """A converted network in a file.

    Raises:
        SourceError: another kind of model, or no such file.
    """
    if not is_saved(name):
        raise SourceError(
            f"{name} is not a saved network such as net.respike; convert it first: respike convert ... -o net.respike"
        )
    require(Path(name), "saved network")
