"""A node as its builder sees it: constants apart from what varies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import limits
from .attributes import Attributes
from .attributes import NodeError as NodeError
from .node_module import Call, Slot
from .tensors import TensorReader


class Numbers:
    """Marks a value that is computed from shapes: numbers in Python, known when the network runs."""


class Varies:
    """Marks a tensor that is known when the network runs."""


Value = Tensor | type[Numbers] | type[Varies] | None
"""A constant, or what kind of value there will be; None for an optional input left out."""


class Node(Attributes):
    """One node of the file.

    Attributes:
        label: Its own name in the file, or its operator and position.
        op_type: Its operator.
        version: The operator set its file declares for its domain; what an attribute means depends on it.
        values: Its inputs.
        writes: Names of its outputs, ``""`` for those nobody reads, without such at the end.
        outputs: How many outputs it has in the file.
    """

    def __init__(
        self, proto: Any, label: str, version: int, values: Sequence[Value], writes: Sequence[str], reader: TensorReader
    ) -> None:
        self.label, self.op_type, self.version = label, proto.op_type, version
        self.values, self.writes, self.outputs = tuple(values), tuple(writes), len(proto.output)
        super().__init__(proto, label, reader)

    @property
    def count(self) -> int:
        """How many inputs there are, those left out included."""
        return len(self.values)

    def given(self, index: int) -> bool:
        """Whether the input is there."""
        return index < len(self.values) and self.values[index] is not None

    def constant(self, index: int) -> Tensor | None:
        """The input if it is a constant, else None."""
        value = self.values[index] if index < len(self.values) else None
        return value if isinstance(value, Tensor) else None

    def x(self, index: int = 0) -> Slot | Tensor:
        """The input, whatever it is.

        Raises:
            NodeError: it is not there.
        """
        if not self.given(index):
            raise NodeError(f"lacks its input {index}")
        value = self.values[index]
        return value if isinstance(value, Tensor) else Slot(self._slot(index))

    def weight(self, index: int) -> nn.Parameter:
        """The input as a trained weight.

        Raises:
            NodeError: it is not there, depends on the network's input, or is not finite.
        """
        value = self.constant(index)
        if value is None:
            there = "depends on the network's input" if self.given(index) else "is missing"
            raise NodeError(f"has a weight (input {index}) that {there}", "use fixed weights")
        if not value.is_floating_point():
            raise NodeError(
                f"has whole numbers as weight (input {index})", "export a float network, not a quantised one"
            )
        if not value.numel():
            raise NodeError(f"has an empty weight (input {index}) of shape {tuple(value.shape)}")
        # Of what ConstantOfShape makes, one element stands for all.
        if not bool(torch.isfinite(value[(0,) * value.dim()] if all(s == 0 for s in value.stride()) else value).all()):
            raise NodeError(f"has an infinite weight (input {index})")
        # Values that share their memory cannot be trained or loaded; only what is absurdly large stays as it is.
        shared = 0 in value.stride() and 1 < value.numel() < limits.FOLDED_ELEMENTS
        return nn.Parameter(value.clone(memory_format=torch.contiguous_format) if shared else value)

    def numbers(self, index: int) -> tuple[Any, ...] | Slot | None:
        """The input as numbers in Python: a shape, axes, pads. None if it is not there.

        Raises:
            NodeError: it depends on values, not only on shapes, of the network's input.
        """
        if not self.given(index):
            return None
        value = self.values[index]
        if isinstance(value, Tensor):
            if value.dim() > 1:
                raise NodeError(f"has a table of numbers as input {index}, where a list belongs")
            if value.numel() > limits.INTS:
                raise NodeError(f"has {value.numel():,} numbers in its input {index}")
            return tuple(value.reshape(-1).tolist())
        if value is Varies:
            raise NodeError(
                f"takes a shape or numbers (input {index}) that depend on what the network's input holds",
                "use fixed ones, or compute them from shapes alone",
            )
        return Slot(self._slot(index), numbers=True)

    def fixed(self, index: int) -> tuple[Any, ...] | None:
        """``numbers``, but constants only.

        Raises:
            NodeError: they depend on the network's input or its shape.
        """
        found = self.numbers(index)
        if isinstance(found, Slot):
            raise NodeError(f"takes numbers (input {index}) that depend on the shape of the network's input")
        return found

    def array(self, index: int) -> Any:
        """The input for shape arithmetic: an array of Python numbers, or a slot for one."""
        value = self.values[index] if index < len(self.values) else None
        if isinstance(value, Tensor):
            if value.numel() > limits.INTS:
                raise NodeError(f"has {value.numel():,} numbers in shape arithmetic")
            return np.array(value.tolist(), dtype=object).reshape(tuple(value.shape))
        return None if value is None else Slot(self._slot(index), numbers=True)

    def _slot(self, index: int) -> int:
        """Constants and absent inputs are not passed when the network runs."""
        return sum(isinstance(v, type) for v in self.values[:index])

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Call:
        """What the node does."""
        return Call(function, args, kwargs)
