"""What may be changed on a network after conversion, checked whenever it is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

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
