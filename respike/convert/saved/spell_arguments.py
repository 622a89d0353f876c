"""Arguments of operations, and the structure of inputs and outputs, as JSON can hold them."""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ...text import shown
from ..errors import FormatError
from ..graph import Ref
from . import limits

_DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    )
}
_FORMATS = {
    str(form).removeprefix("torch."): form
    for form in (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)
}
_READ: dict[str, Callable[[str], Any]] = {
    "ref": Ref,
    "dtype": _DTYPES.__getitem__,
    "memory_format": _FORMATS.__getitem__,
    "layout": {"strided": torch.strided}.__getitem__,
    "device": {"cpu": torch.device("cpu")}.__getitem__,  # the executor puts its own in its place
    "float": {"inf": math.inf, "-inf": -math.inf}.__getitem__,
}


def spelled(value: Any) -> Any:
    """An argument for JSON: what JSON has no word for becomes ``{"ref": "conv2d"}``, ``{"dtype": "float32"}``, ...

    Raises:
        FormatError: there is no spelling for it.
    """
    if isinstance(value, (list, tuple)):
        return [spelled(item) for item in value]
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, torch.device):
        return {"device": "cpu"}
    for kind in (torch.dtype, torch.memory_format, torch.layout):
        if isinstance(value, kind):
            return {kind.__name__: str(value).removeprefix("torch.")}
    if isinstance(value, float) and math.isinf(value):
        return {"float": str(value)}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise FormatError(
        f"its arguments include a value that cannot be saved, a {type(value).__name__} among its arguments"
    )


def understood(value: Any, depth: int = 0) -> Any:
    """What ``spelled`` was given, tuples as lists.

    Raises:
        FormatError: it is nothing that ``spelled`` writes.
    """
    if isinstance(value, list) and depth < limits.DEPTH and len(value) <= limits.ITEMS:
        return [understood(item, depth + 1) for item in value]
    if isinstance(value, dict) and len(value) == 1:
        ((key, text),) = value.items()
        if key in _READ and isinstance(text, str) and len(text) <= limits.NAME:
            try:
                return _READ[key](text)
            except KeyError:
                raise FormatError(f"there is no {key} {shown(text)!r}") from None
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise FormatError(f"{shown(repr(value)[:200])} is not an argument of an operation")


def drawn(spec: pytree.TreeSpec) -> Any:
    """A structure for JSON: ``"*"`` for a leaf, ``{"tuple": ["*", ...]}``, ``{"dict": [["key", "*"], ...]}``, ...

    Raises:
        FormatError: a container that is no tuple, named tuple, list or dict.
    """
    return _draw(pytree.tree_unflatten(list(range(spec.num_leaves)), spec))


def _draw(tree: Any) -> Any:
    if type(tree) is int:
        return "*"
    if type(tree) in (tuple, list):
        return {type(tree).__name__: [_draw(item) for item in tree]}
    if type(tree) in (dict, OrderedDict):
        if all(key is None or type(key) in (bool, int, float, str) for key in tree):
            return {type(tree).__name__: [[key, _draw(item)] for key, item in tree.items()]}
        raise FormatError("a dict among its inputs or outputs has keys that are neither words nor numbers")
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        fields = zip(tree._fields, tree, strict=True)
        return {"namedtuple": [type(tree).__name__, [[name, _draw(item)] for name, item in fields]]}
    raise FormatError(
        f"a {type(tree).__name__} among its inputs or outputs cannot be saved: it is not a tuple, list or dict"
    )


def structure(drawing: Any) -> pytree.TreeSpec:
    """The structure that ``drawn`` was given; a named tuple becomes one of the same name and fields.

    Raises:
        FormatError: it is nothing that ``drawn`` writes.
    """
    return pytree.tree_structure(_build(drawing, 0))


def _build(drawing: Any, depth: int) -> Any:
    if drawing == "*":
        return 0
    if isinstance(drawing, dict) and len(drawing) == 1 and depth < limits.DEPTH:
        ((kind, items),) = drawing.items()
        if kind in ("tuple", "list") and isinstance(items, list):
            return {"tuple": tuple, "list": list}[kind](_build(item, depth + 1) for item in items)
        if kind in ("dict", "OrderedDict") and _are_pairs(items):
            found = {"dict": dict, "OrderedDict": OrderedDict}[kind]((k, _build(item, depth + 1)) for k, item in items)
            if len(found) == len(items):
                return found
        if kind == "namedtuple" and isinstance(items, list) and len(items) == 2 and _are_pairs(items[1]):
            return _named(items[0], [key for key, _ in items[1]], [_build(item, depth + 1) for _, item in items[1]])
    raise FormatError(f"{shown(repr(drawing)[:200])} is not a structure of inputs or outputs")


def _are_pairs(items: Any) -> bool:
    pairs = isinstance(items, list) and all(isinstance(item, list) and len(item) == 2 for item in items)
    return pairs and all(key is None or type(key) in (bool, int, float, str) for key, _ in items)


def _named(name: Any, fields: list[Any], values: list[Any]) -> Any:
    words = [name, *fields]
    if not all(isinstance(word, str) and word.isascii() and len(word) <= limits.NAME for word in words):
        raise FormatError("the fields of a named tuple among the outputs have no names")
    try:
        return namedtuple(name, fields)(*values)  # refuses what is no identifier
    except (ValueError, TypeError) as error:
        raise FormatError(f"a named tuple among the outputs cannot be made: {shown(str(error))}") from error
