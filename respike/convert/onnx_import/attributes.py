"""A node's attributes, each of the type that its reader wants, and none overlooked."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import AttributeProto
from torch import Tensor

from ...text import shown
from . import limits
from .tensors import TensorReader


class NodeError(Exception):
    """A node that cannot be built.

    Attributes:
        why: What is in the way.
        todo: What the user can do about it.
    """

    def __init__(self, why: str, todo: str = "check how the file was exported, or export it again") -> None:
        super().__init__(why)
        self.why, self.todo = why, todo


_KINDS: dict[int, str] = {
    AttributeProto.INT: "a whole number",
    AttributeProto.INTS: "whole numbers",
    AttributeProto.FLOAT: "a number",
    AttributeProto.FLOATS: "numbers",
    AttributeProto.STRING: "a string",
    AttributeProto.TENSOR: "a tensor",
}


# For training, for memory, or for types that are not read.
_NO_MATTER = "consumed_inputs is_test momentum ratio seed saturate round_mode stash_type".split()


class Attributes:
    """The attributes of one node; those that nobody asked for are found by ``check_attributes``."""

    def __init__(self, proto: Any, label: str, reader: TensorReader) -> None:
        self._attributes = {a.name: a for a in proto.attribute}
        self._known: set[str] = set(_NO_MATTER)
        self._where, self._reader = shown(label), reader
        for a in proto.attribute:
            if a.ref_attr_name:
                raise NodeError(f"takes {shown(a.name)!r} from a function's attribute, and is in no function")
            if a.type not in _KINDS:
                kind = AttributeProto.AttributeType.Name(a.type).lower().replace("_", " ")
                why = f"has {shown(a.name)!r}, a {kind}: control flow, sparse tensors and strings cannot be converted"
                raise NodeError(why, "export a network without branches and loops")

    def _attribute(self, name: str, kind: int) -> Any:
        self._known.add(name)
        a = self._attributes.get(name)
        if a is None:
            return None
        if a.type != kind:
            raise NodeError(f"has {name!r} as {_KINDS[a.type]}, where {_KINDS[kind]} belongs")
        return a

    def has(self, name: str) -> bool:
        """Whether the attribute is given."""
        return name in self._attributes

    def check_attributes(self) -> None:
        """After building: an attribute nobody asked for may have meant something.

        Raises:
            NodeError: there is one.
        """
        unknown = [shown(name) for name in self._attributes if name not in self._known]
        if unknown:
            raise NodeError(f"has the attribute {unknown[0]!r}, which the importer does not know at this operator set")

    def attr_int(self, name: str, default: int = 0) -> int:
        """A whole number."""
        a = self._attribute(name, AttributeProto.INT)
        return default if a is None else int(a.i)

    def attr_bool(self, name: str, default: bool = False) -> bool:
        """A whole number that means yes or no."""
        found = self.attr_int(name, int(default))
        if found not in (0, 1):
            raise NodeError(f"has {name} = {found}, where 0 or 1 belongs")
        return bool(found)

    def attr_ints(self, name: str) -> tuple[int, ...] | None:
        """Whole numbers."""
        a = self._attribute(name, AttributeProto.INTS)
        return None if a is None else self._short(name, a.ints)

    def attr_float(self, name: str, default: float) -> float:
        """A finite number."""
        a = self._attribute(name, AttributeProto.FLOAT)
        if a is not None and not np.isfinite(a.f):
            raise NodeError(f"has {name} = {a.f}")
        return default if a is None else float(a.f)

    def attr_floats(self, name: str) -> tuple[float, ...] | None:
        """Numbers."""
        a = self._attribute(name, AttributeProto.FLOATS)
        return None if a is None else self._short(name, a.floats)

    def attr_string(self, name: str, default: str, *choices: str) -> str:
        """A string, one of ``choices`` if there are any."""
        a = self._attribute(name, AttributeProto.STRING)
        found = default if a is None else a.s.decode("utf-8", "replace")
        if choices and found not in choices:
            raise NodeError(f"has {name} = {shown(found)!r}, which is none of {', '.join(choices)}")
        return found

    def attr_tensor(self, name: str) -> Tensor | None:
        """A constant tensor."""
        a = self._attribute(name, AttributeProto.TENSOR)
        return None if a is None else self._reader.read(a.t, f"the attribute {name!r} of node {self._where!r}")

    def _short(self, name: str, numbers: Any) -> tuple[Any, ...]:
        if len(numbers) > limits.INTS:
            raise NodeError(f"has {len(numbers):,} numbers in {name!r}")
        return tuple(numbers)
