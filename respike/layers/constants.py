"""What is asked of a model's constants and sizes, with one clear error each."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError


def as_tensor(value: Any, name: str = "a constant") -> Tensor:
    """A copy of a number or tensor, in the default floating-point type.

    Raises:
        TypeError: it is neither, and is called by its name.
    """
    try:
        return torch.as_tensor(value).detach().to(torch.get_default_dtype()).clone()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number or a tensor, got {value!r}") from None


def finite(name: str, value: Any) -> Tensor:
    """The same for what must not be infinite, nor NaN.

    Raises:
        ValueError: some of it is.
    """
    tensor = as_tensor(value, name)
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{name} must be finite, got {short(tensor)}")
    return tensor


def positive(name: str, value: Any) -> Tensor:
    """The same for what must be above zero.

    Raises:
        ValueError: some of it is not.
    """
    tensor = as_tensor(value, name)
    if not bool((tensor > 0).all()):
        raise InputError(f"{name} must be positive, got {short(tensor)}")
    return tensor


def share(name: str, value: Any) -> Tensor:
    """The same for a decay factor, the share left after one timestep.

    Raises:
        ValueError: some of it is not in [0, 1].
    """
    tensor = as_tensor(value, name)
    if not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise InputError(f"{name} must be in [0, 1], the share left after one timestep, got {short(tensor)}")
    return tensor


def short(value: Tensor) -> str:
    """A tensor in a few characters: its number, or its range."""
    if value.numel() == 1:
        return f"{value.item():.4g}"
    return f"{value.min().item():.4g}..{value.max().item():.4g}"


def whole(name: str, value: Any, least: int) -> int:
    """A whole number from ``least`` on, of any type that counts.

    Raises:
        ValueError: it is none.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"{name} must be a whole number, {least} or more, got {value!r}")
    return int(number)
