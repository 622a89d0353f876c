"""Options of public functions, checked by one small set of questions: one clear error each, with the option's name."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Sequence
from typing import Any

from ..progress import Progress
from .errors import ConversionError

STEPS = 2**16
"""Timesteps that a network is made for, those that a layer waits, and spikes in one: the most that a file holds."""
POPULATION = 64
"""Neurons that stand for one value of a smooth function, at most."""
SEEDS = 2**63
"""Seeds are from minus this to just below it."""


def whole(name: str, value: Any, low: int | None = None, high: int | None = None, other: str = "") -> int:
    """A whole number from ``low`` to ``high``, as Python's int; numpy's are taken too.

    Args:
        name: Of the option.
        value: As given.
        low: The least.
        high: The most.
        other: What else it may be, for the message.

    Raises:
        ConversionError: anything else.
    """
    right = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not right or (low is not None and value < low) or (high is not None and value > high):
        if high is not None:
            bounds = f" from {low} to {high:,}" if abs(high) < 2**31 else " of 64 bits"
        else:
            bounds = "" if low is None else f", {low} or more"
        raise _wrong(name, f"a whole number{bounds}{other}", value)
    return int(value)


def number(name: str, value: Any, expected: str, *, low: float = -math.inf, above: float = -math.inf,
           most: float = math.inf, below: float = math.inf) -> float:  # fmt: skip
    """A finite number within bounds, as Python's int or float.

    Args:
        name: Of the option.
        value: As given.
        expected: The bounds in words.
        low: The least.
        above: It must be above this.
        most: The most.
        below: It must be below this.

    Raises:
        ConversionError: anything else.
    """
    right = isinstance(value, numbers.Real) and not isinstance(value, bool) and _is_finite(value)
    if not right or not (low <= value <= most and above < value < below):
        raise _wrong(name, f"a number{expected}", value)
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def one_of(name: str, value: Any, allowed: Sequence[str]) -> Any:
    """One of a few words, as given.

    Raises:
        ConversionError: another.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ConversionError(f"{name} must be one of {', '.join(allowed)}; got {shown(value)}")
    return value


def bytes_or_none(name: str, value: Any) -> int | None:
    """A number of bytes, or None.

    Raises:
        ConversionError: anything else.
    """
    if value is None:
        return None
    found = number(name, value, " of bytes, 1 or more, or None", low=1)
    if found != int(found):
        raise _wrong(name, "a whole number of bytes, 1 or more, or None", value)
    return int(found)


def flag(name: str, value: Any, *, optional: bool = False) -> None:
    """True or False, or None if that may be left open.

    Raises:
        ConversionError: anything else.
    """
    if not (isinstance(value, bool) or (optional and value is None)):
        raise _wrong(name, "True, False or None" if optional else "True or False", value)


def progress(value: Any, *, bar: bool = False) -> None:
    """What is told how far the work is, or None; with ``bar``, True or False too.

    Raises:
        ConversionError: anything else.
    """
    if not (value is None or isinstance(value, Progress) or callable(value) or (bar and isinstance(value, bool))):
        expected = "True, False, a function" if bar else "a function"
        raise _wrong("progress", f"{expected}, a respike.progress.Progress or None", value)


def function(name: str, value: Any) -> None:
    """Something to call, or None.

    Raises:
        ConversionError: anything else.
    """
    if value is not None and not callable(value):
        raise _wrong(name, "a function or None", value)


def instance(name: str, value: Any, kind: type, expected: str, *, optional: bool = False) -> None:
    """An object of a class, or None where that may be.

    Raises:
        ConversionError: of another class.
    """
    if not (isinstance(value, kind) or (optional and value is None)):
        raise _wrong(name, expected + (" or None" if optional else ""), value)


def names(name: str, value: Any) -> tuple[str, ...]:
    """One name, or several.

    Raises:
        ConversionError: anything else.
    """
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, Sequence) or not all(isinstance(x, str) for x in found):
        raise _wrong(name, "a name or a sequence of names", value)
    return tuple(found)


def path(name: str, value: Any) -> None:
    """The name of a file.

    Raises:
        ConversionError: nothing that names one.
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str) or not os.fspath(value):
        raise _wrong(name, "a file's path, as str or os.PathLike", value)
    if "\0" in os.fspath(value):
        raise _wrong(name, "a file's path without a null character", value)


def seed(value: Any) -> int:
    """A seed.

    Raises:
        ConversionError: no whole number of 64 bits.
    """
    return whole("seed", value, -SEEDS, SEEDS - 1)


def _wrong(name: str, expected: str, value: Any) -> ConversionError:
    return ConversionError(f"{name} must be {expected}; got {shown(value)}")


def shown(value: Any) -> str:
    """A value for a message: short ones as they are, others by their type."""
    if value is None or isinstance(value, (str, bool, int, float, numbers.Number)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return f"{type(value).__module__.split('.')[0]}.{type(value).__qualname__}".removeprefix("builtins.")
