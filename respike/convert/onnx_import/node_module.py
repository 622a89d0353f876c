"""One node as a module: a function, and where its arguments come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...text import shown


@dataclass(frozen=True)
class Slot:
    """A value that is known when the network runs: the step's input of that number.

    Attributes:
        index: Which of the step's inputs.
        numbers: Wanted as numbers in Python (a shape, axes), not as a tensor.
    """

    index: int
    numbers: bool = False


@dataclass(frozen=True)
class Call:
    """What a builder makes of a node: a function, and its arguments.

    Arguments are ``Slot``s, plain values, and constant tensors: ``nn.Parameter``s become parameters of the
    step's module, others buffers.

    Attributes:
        function: What computes the node's value; a tuple of values if it has several outputs.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        numbers: Whether the value is numbers computed from shapes.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    numbers: bool = False


@dataclass(frozen=True)
class Stored:
    """A parameter or buffer of the step's.

    Attributes:
        name: Its name.
        row: Along this axis only the first row is meant; None for all of it.
    """

    name: str
    row: int | None = None


class Step(nn.Module):
    """One node of an ONNX graph.

    Attributes:
        label: The node's own name in the file.
        op_type: Its operator.
        reads: Names of the values it takes when the network runs.
        writes: Names of the values it gives; ``""`` where nobody wants one.
        numbers: Whether these are numbers computed from shapes.
    """

    def __init__(self, label: str, op_type: str, call: Call, reads: Sequence[str], writes: Sequence[str]) -> None:
        super().__init__()
        self.label, self.op_type = label, op_type
        self.reads, self.writes = tuple(reads), tuple(writes)
        self.function, self.numbers = call.function, call.numbers
        self.arguments = [self._store(f"constant_{i}", value) for i, value in enumerate(call.args)]
        self.options = {key: self._store(key, value) for key, value in call.kwargs.items()}

    def _store(self, name: str, value: Any) -> Any:
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        elif isinstance(value, Tensor):
            self.register_buffer(name, value)
        else:
            return value
        return Stored(name)

    def _load(self, value: Any, inputs: Sequence[Any]) -> Any:
        if isinstance(value, Stored):
            found = getattr(self, value.name)
            return found if value.row is None else found.narrow(value.row, 0, 1)
        if not isinstance(value, Slot):
            return value
        given = inputs[value.index]
        if value.numbers:
            return given
        return given if isinstance(given, Tensor) else as_tensor(given)

    def forward(self, *inputs: Any) -> Any:
        """The node's value; a tuple if it has several."""
        args = [self._load(value, inputs) for value in self.arguments]
        kwargs = {key: self._load(value, inputs) for key, value in self.options.items()}
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        """The operator and the node's name in the file."""
        return f"{self.op_type}, {shown(self.label)}"


def as_tensor(numbers: Any) -> Tensor:
    """Numbers computed from shapes, where a node calculates with them."""
    values = np.asarray(numbers, dtype=object)
    types = {float: torch.float32, bool: torch.bool}
    flat = [torch.scalar_tensor(n, dtype=types.get(type(n), torch.int64)) for n in values.flat]
    return torch.stack(flat).reshape(values.shape) if flat else torch.zeros(values.shape, dtype=torch.int64)
