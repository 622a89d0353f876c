"""What may be changed on a network after conversion, checked whenever it is set."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

from .errors import ConversionError

Value = TypeVar("Value")


class Setting(Generic[Value]):
    """An attribute that takes no value that could not be run with.

    Args:
        check: Called with the owner and the value that is to be set; returns the value to keep, or raises.
    """

    def __init__(self, check: Callable[[Any, Any], Value]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.slot = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[Value]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> Setting[Value] | Value:
        if instance is None:
            return self
        value: Value = instance.__dict__[self.slot]
        return value

    def __set__(self, instance: object, value: Value) -> None:
        instance.__dict__[self.slot] = self.check(instance, value)


def whole(name: str, value: Any, least: int, more: str = "") -> int:
    """``value`` as a whole number of at least ``least``.

    Args:
        name: Of the option.
        value: What was given; a number of NumPy's will do, True and 3.0 will not.
        least: The smallest number allowed.
        more: What else the option may be, for the message.

    Raises:
        ConversionError: anything else.
    """
    if not isinstance(value, bool):
        try:
            found = operator.index(value)
        except TypeError:
            found = least - 1
        if found >= least:
            return found
    raise ConversionError(f"{name} must be a whole number, {least} or more{more}, got {value!r}")


def one_of(name: str, value: Any, allowed: Sequence[str]) -> Any:
    """``value``, which must be one of these names.

    Raises:
        ConversionError: anything else.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ConversionError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    return value


def bytes_or_none(name: str, value: Any) -> int | None:
    """A number of bytes, 1 or more, or None.

    Raises:
        ConversionError: anything else.
    """
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 1:
        raise ConversionError(f"{name} must be a number of bytes, 1 or more, or None; got {value!r}")
    return int(value)
