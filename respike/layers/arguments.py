"""The arguments that a layer could be made again with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def arguments(layer: nn.Module, elsewhere: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments by name, as they are now: ``type(layer)(**arguments)`` makes a like one.

    Args:
        layer: Keeps each argument under its name, or ...
        elsewhere: ... here.

    Returns:
        Copies of tensors, and all else as it is. Arguments by keyword only, which are our own, are left out where they
        are at their defaults.
    """
    found: dict[str, Any] = {}
    for name, parameter in _parameters(type(layer)).items():
        value = elsewhere[name] if name in elsewhere else getattr(layer, name)
        value = value.detach().clone() if isinstance(value, Tensor) else value
        if parameter.kind is not parameter.KEYWORD_ONLY or not _equal(value, parameter.default):
            found[name] = value
    return found


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Parameters of a class, with those of the base classes that its ``**kwargs`` go to."""
    found: dict[str, inspect.Parameter] = {}
    for base in (base for base in kind.__mro__ if "__init__" in base.__dict__):
        own = list(inspect.signature(base.__dict__["__init__"]).parameters.values())[1:]
        found = {p.name: p for p in own if p.kind is not p.VAR_KEYWORD} | found
        if all(p.kind is not p.VAR_KEYWORD for p in own):
            break
    return found


def _equal(value: Any, default: Any) -> bool:
    if isinstance(value, Tensor):
        return default is not None and value.dim() == 0 and value.item() == default
    return bool(value == default)
