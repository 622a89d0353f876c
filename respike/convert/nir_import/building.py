"""The graph while it is made of the nodes of a NIR file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...text import shown
from ..errors import FormatError
from ..graph import Node, Ref, function, map_leaves
from ..nir_file.contents import NirNode
from ..saved.limits import ELEMENTS


@dataclass(frozen=True)
class Place:
    """A node of the file.

    Attributes:
        name: In the file.
        node: What it is.
    """

    name: str
    node: NirNode

    @property
    def where(self) -> str:
        return f"{shown(self.name)} ({shown(self.node.type)})"

    def wrong(self, problem: str) -> FormatError:
        return FormatError(f"{self.where} {problem}")

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """A field that is numbers."""
        value = self.node.fields[name]
        if isinstance(value, str):
            raise self.wrong(f"has a text in the place of {name}")
        return np.asarray(value)

    def weights(self, name: str, axes: int) -> Tensor:
        """A field that is an array of so many axes, in float32."""
        found = self.array(name)
        if found.ndim != axes or not found.size:
            raise self.wrong(f"has {name} of shape {found.shape}, not {axes} axes")
        return self.float32(found, name)

    def float32(self, values: np.ndarray[Any, Any], name: str) -> Tensor:
        with np.errstate(over="ignore"):
            found = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        if not bool(found.isfinite().all()):
            raise self.wrong(f"has {name} beyond float32")
        return found

    def whole(self, name: str, count: int, least: int) -> list[int]:
        """A field that is one whole number, or one for each axis."""
        found = self.array(name).reshape(-1)
        numbers = [int(n) for n in found[:count]] if found.size in (1, count) else []
        if not numbers or not all(least <= n < 2**31 for n in numbers) or (found[:count] != numbers).any():
            raise self.wrong(f"has {name} that is not {count} whole numbers of {least} or more")
        return numbers * count if len(numbers) == 1 else numbers


@dataclass
class Building:
    """Operations so far, and the shapes of their values, followed on tensors without numbers.

    Attributes:
        nodes: In order.
        tensors: Weights by name.
        values: All of these by name, of one sample, on the device ``meta``.
    """

    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)

    def sides(self, ref: Ref) -> tuple[int, ...]:
        """The shape of a value without the batch."""
        return tuple(self.values[ref.name].shape[1:])

    def tensor(self, value: Tensor) -> Ref:
        name = f"t{len(self.tensors)}"
        self.tensors[name], self.values[name] = value, value.to("meta")
        return Ref(name)

    def add(self, place: Place, op: str, *args: Any) -> Ref:
        """One more operation.

        Raises:
            FormatError: it does not fit its arguments.
        """
        name = f"n{len(self.nodes)}_{re.sub(r'[^A-Za-z0-9_]', '_', place.name)[:100]}"
        try:
            found = function(op)(*map_leaves(lambda a: self.values[a.name] if isinstance(a, Ref) else a, list(args)))
        except Exception as error:  # torch raises most things there are
            raise place.wrong(f"does not fit what it reads: {shown(str(error).split(chr(10))[0], 200)}") from error
        if found.numel() > ELEMENTS or not found.numel():
            raise place.wrong(f"gives {found.numel():,} numbers")
        self.values[name] = found
        self.nodes.append(Node(name, op, args, path=place.name, kind=place.node.type, shape=(None, *found.shape[1:])))
        return Ref(name)
