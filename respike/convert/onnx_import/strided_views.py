"""Views of other strides, which an exporter spells as the places of their values in memory.

A mean over the space of a tensor whose channels came last in memory ends in ``aten.as_strided``. ``torch.onnx``
writes ``Gather(Reshape(x, [-1]), places)``, the places being batch numbers times a stride plus constants. Mostly they
count up from 0: the view has the values of x in their order, and is a ``Reshape``. The numbers themselves would be as
many as the tensor has, and fix the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np
from onnx import helper

from .limits import INTS

Array = Any
"""Of whole numbers."""
MOST_TERMS = 16
"""Summands of the places; one for each axis is usual."""


class Views:
    """The views in a graph.

    Attributes:
        lists: The constants that ``spelled`` needs, by name.

    Args:
        graph: Of the file.
        constant: The whole numbers of an initializer, at most so many; None if it is none, or has more.
    """

    def __init__(self, graph: Any, constant: Callable[[str, int], Array | None]) -> None:
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.constant = constant
        self.lists: dict[str, list[int]] = {}

    def spelled(self, node: Any) -> list[Any]:
        """The nodes in the place of a node: a ``Reshape`` and its shape for a ``Gather`` of this kind, or itself."""
        found = self._found(node)
        if found is None:
            return [node]
        x, batch, rest = found
        one, others, first, shape = (f"{node.output[0]}: {part}" for part in ("one", "others", "first", "shape"))
        self.lists |= {one: [1], others: list(rest)}
        return [
            helper.make_node("Reshape", [batch, one], [first], first),
            helper.make_node("Concat", [first, others], [shape], shape, axis=0),
            helper.make_node("Reshape", [x, shape], list(node.output), node.name),
        ]

    def _found(self, node: Any) -> tuple[str, str, tuple[int, ...]] | None:
        """What a node is a view of, the name of the batch size, and the other lengths; None for other nodes."""
        if (
            node.op_type != "Gather"
            or node.domain
            or len(node.input) != 2
            or any(a.name == "axis" and a.i for a in node.attribute)
        ):
            return None
        flat = self._maker(node.input[0], "Reshape", 2)
        if flat is None or self._list(flat.input[1]) != [-1]:
            return None
        terms = list(self._terms(node.input[1], MOST_TERMS))
        fixed = [found for term in terms if (found := self.constant(term, INTS)) is not None]
        moving = [term for term in terms if self.constant(term, INTS) is None]
        if len(moving) != 1 or not fixed:
            return None
        batch, stride = self._batch(moving[0])
        if math.prod(np.broadcast_shapes(*(x.shape for x in fixed))) > INTS:
            return None
        within = reduce(np.add, fixed)
        counts = np.array_equal(within.reshape(-1), np.arange(within.size))
        if within.shape[:1] != (1,) or not counts or stride != within.size:
            return None
        return flat.input[0], batch, within.shape[1:]

    def _maker(self, name: str, op_type: str, inputs: int) -> Any | None:
        """What makes a value, if it is that operator with so many inputs."""
        node = self.makers.get(name)
        fits = node is not None and node.op_type == op_type and not node.domain and len(node.input) == inputs
        return node if fits else None

    def _list(self, name: str) -> list[int] | None:
        found = self.constant(name, INTS)
        return None if found is None else found.reshape(-1).tolist()

    def _terms(self, name: str, most: int) -> Iterator[str]:
        """The summands of a value; a sum of too many is one itself."""
        node = self._maker(name, "Add", 2)
        if node is None or most < 2:
            yield name
            return
        for term in node.input:
            yield from self._terms(term, most // 2)

    def _batch(self, name: str) -> tuple[str, int]:
        """Of ``Unsqueeze(Range(0, batch, 1) · step)``, with the batch first, the two; a step of 0 for other values."""
        unsqueeze = self._maker(name, "Unsqueeze", 2)
        axes = None if unsqueeze is None else self._list(unsqueeze.input[1])
        product = None if unsqueeze is None else self._maker(unsqueeze.input[0], "Mul", 2)
        if product is None or axes is None or axes != list(range(1, len(axes) + 1)):
            return "", 0
        count, steps = self._maker(product.input[0], "Range", 3), self._list(product.input[1])
        if count is None or steps is None or len(steps) != 1:
            return "", 0
        counts_up = self._list(count.input[0]) == [0] and self._list(count.input[2]) == [1]
        return (count.input[1], steps[0]) if counts_up else ("", 0)
