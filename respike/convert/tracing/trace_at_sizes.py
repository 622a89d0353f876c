"""Which numbers of a graph follow the batch size, found by tracing the model at several sizes.

``len(x)`` and ``int(x.shape[0])`` are plain numbers for Python, and so for the tracer. Graphs of several batch sizes
are laid side by side: what is the same in all is a constant; what differs must be a whole multiple of the batch size
plus a constant, or a constant over the batch size. Two sizes give the rule, the others must agree with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch

from ..errors import ConversionError
from ..graph import BATCH, DERIVED, Graph, Node, Ref
from .user_lines import Line


class ByNoRuleError(ConversionError):
    """The graph depends on the batch size in another way."""


def follow_batch(graphs: Sequence[Graph], sizes: Sequence[int], lines: Mapping[str, Line | None]) -> Graph:
    """One graph for any batch size.

    Args:
        graphs: Of the same model, traced at fixed sizes.
        sizes: Those sizes, and maybe more.
        lines: The user's line behind each node.

    Raises:
        ByNoRuleError: something else than a number depends on the batch size, or in another way.
    """
    return _Merge(graphs, sizes[: len(graphs)], lines).graph()


class _Merge:
    def __init__(self, graphs: Sequence[Graph], sizes: Sequence[int], lines: Mapping[str, Line | None]) -> None:
        self.graphs, self.sizes, self.lines = graphs, sizes, lines
        self.first = graphs[0]
        self.numbers: dict[tuple[Any, ...], Ref] = {}
        self.nodes: list[Node] = []

    def graph(self) -> Graph:
        first = self.first
        inputs = {name: self._shape(name, [g.inputs.get(name) for g in self.graphs]) or () for name in first.inputs}
        self._same_weights()
        self._same_order()
        source = next(name for name, shape in inputs.items() if shape and shape[0] is BATCH)
        size = Node(self._fresh("batch_size"), "aten.sym_size.int", (Ref(source), 0))
        self.nodes = [size]
        self.size = Ref(size.name)
        for same in zip(*(g.nodes for g in self.graphs), strict=True):
            self.nodes.append(self._node(same))
        outputs = [self._tree(values, None) for values in zip(*(g.outputs for g in self.graphs), strict=True)]
        return replace(first, inputs=inputs, nodes=self.nodes, outputs=outputs)

    def _same_weights(self) -> None:
        for name, value in self.first.tensors.items():
            others = [g.tensors.get(name) for g in self.graphs[1:]]
            if not all(x is not None and x.shape == value.shape and torch.equal(x, value) for x in others):
                raise self._error(None, f"the constant {name} depends on the batch size")

    def _same_order(self) -> None:
        for same in zip(*(g.nodes for g in self.graphs), strict=False):
            if len({(n.name, n.op) for n in same}) > 1:
                raise self._error(same[0].name, "other operations follow from here on for each batch size")
        longest = max(self.graphs, key=lambda g: len(g.nodes))
        if len({len(g.nodes) for g in self.graphs}) > 1:
            last = longest.nodes[min(len(g.nodes) for g in self.graphs)]
            raise self._error(last.name, "there are more operations the larger the batch, as in a loop over it")

    def _node(self, same: Sequence[Node]) -> Node:
        name = same[0].name
        args = tuple(self._tree(values, name) for values in zip(*(n.args for n in same), strict=True))
        kwargs = {key: self._tree([n.kwargs[key] for n in same], name) for key in same[0].kwargs}
        return replace(same[0], args=args, kwargs=kwargs, shape=self._shape(name, [n.shape for n in same]))

    def _tree(self, values: Sequence[Any], where: str | None) -> Any:
        first = values[0]
        if isinstance(first, (list, tuple)):
            if len({len(v) for v in values}) > 1:
                raise self._error(where, "a list is as long as the batch")
            return type(first)([self._tree(parts, where) for parts in zip(*values, strict=True)])
        if all(v == first and type(v) is type(first) for v in values):
            return first
        if not all(type(v) in (int, float) for v in values):
            raise self._error(where, f"{first!r} depends on the batch size")
        return self._number(values, where)

    def _number(self, values: Sequence[Any], where: str | None) -> Ref:
        """The number as a value of the graph: a·N + c, or c/N."""
        (m, n), (a, b) = self.sizes[:2], values[:2]
        slope = (Fraction(b) - Fraction(a)) / (n - m)
        rest = Fraction(a) - slope * m
        whole = slope.denominator == 1 and rest.denominator == 1
        if whole and all(v == slope * size + rest for v, size in zip(values, self.sizes, strict=True)):
            found = self.size
            kind = type(values[0])
            if slope != 1 or kind is float:
                found = self._arithmetic("mul", found, kind(slope))
            return found if not rest else self._arithmetic("add", found, kind(rest))
        share = round(values[0] * self.sizes[0])
        if all(type(v) is float and v == share / size for v, size in zip(values, self.sizes, strict=True)):
            return self._arithmetic("truediv", share, self.size)
        told = ", ".join(str(v) for v in values)
        sizes = ", ".join(str(n) for n in self.sizes)
        raise self._error(where, f"at batch sizes {sizes} a number in it is {told}")

    def _arithmetic(self, name: str, *args: Any) -> Ref:
        key = (name, *args)
        if key not in self.numbers:
            node = Node(self._fresh(f"batch_{name}_{len(self.numbers)}"), f"operator.{name}", args)
            self.nodes.append(node)
            self.numbers[key] = Ref(node.name)
        return self.numbers[key]

    def _shape(self, name: str, shapes: Iterable[Any]) -> tuple[int | None, ...] | None:
        known = list(shapes)
        if any(shape is None for shape in known):
            return None

        def axis(lengths: tuple[int, ...]) -> int | None:
            if len(set(lengths)) == 1:
                return lengths[0]
            return BATCH if list(lengths) == list(self.sizes) else DERIVED

        if len({len(shape) for shape in known}) > 1:
            raise self._error(name, "the number of its axes depends on the batch size")
        return tuple(axis(lengths) for lengths in zip(*known, strict=True))

    def _fresh(self, name: str) -> str:
        taken = {*self.first.inputs, *self.first.tensors, *(n.name for n in self.first.nodes)}
        while name in taken:
            name += "_"
        return name

    def _error(self, where: str | None, why: str) -> ByNoRuleError:
        line = self.lines.get(where or "")
        place = f"{line}: " if line else ""
        return ByNoRuleError(
            f"{place}{why}. It must work alike for any number of samples: all samples at once, with x.flatten(1), "
            "x.view(len(x), -1) or x.shape[0] times a number"
        )
