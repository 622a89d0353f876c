"""Spell every piecewise linear activation with the one operation that becomes a spiking neuron.

``respike.relu(x)`` is ReLU(x); with the keyword ``cap`` it is min(ReLU(x), cap). All others are exact in
terms of it: clamp(x, a, b) = relu(x − a, cap=b−a) + a, leaky(x) = relu(x) − slope·relu(−x), and so on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..graph import RELU, Graph, Node, Ref, Rewriter, rewrite
from .constants import comparison, constant

Number = Tensor | float


def spell_activations(graph: Graph) -> Graph:
    """Requires: weights folded to constants. Ensures: the only activation left that can spike is ``RELU``."""
    readers = {name: len(users) for name, users in graph.users.items()}
    for name in graph.output_names():
        readers[name] = readers.get(name, 0) + 1

    def step(node: Node, rewriter: Rewriter) -> Any:
        spell = _SPELLINGS.get(node.op)
        # A constant that broadcasts the signal to another shape does more than an activation. Whole numbers are indices
        # and masks: they stay whole numbers.
        if spell is None or node.whole or node.shape not in [rewriter.shape(name) for name in node.refs]:
            return rewriter.keep(node)
        result = spell(_Writer(node, rewriter, readers))
        if result is None:
            return rewriter.keep(node)
        readers[result.name] = readers.get(node.name, 0)
        return result

    return rewrite(graph, step)


class _Writer:
    """Writes the nodes that take one node's place."""

    def __init__(self, node: Node, rewriter: Rewriter, readers: dict[str, int]) -> None:
        self.node, self.rewriter, self.readers = node, rewriter, readers

    def arg(self, index: int, default: Any = None) -> Any:
        return self.node.args[index] if len(self.node.args) > index else default

    def constant(self, arg: Any) -> Number | None:
        return constant(self.rewriter, arg)

    def add(self, x: Ref, value: Number) -> Ref:
        return x if isinstance(value, float) and value == 0 else self._binary("aten.add.Tensor", x, value)

    def mul(self, x: Ref, value: Number) -> Ref:
        return x if isinstance(value, float) and value == 1 else self._binary("aten.mul.Tensor", x, value)

    def _binary(self, op: str, x: Ref, value: Number) -> Ref:
        other = self.rewriter.tensor(f"{self.node.name}_constant", value) if isinstance(value, Tensor) else value
        return self.rewriter.add(self.node, op, x, other)

    def sum(self, x: Ref, y: Ref) -> Ref:
        return self.rewriter.add(self.node, "aten.add.Tensor", x, y)

    def relu(self, x: Ref, cap: float | None = None) -> Ref:
        if cap is None:
            return self.rewriter.add(self.node, RELU, x)
        return self.rewriter.add(self.node, RELU, x, cap=cap)

    def above(self, x: Ref, low: Number, cap: float | None = None) -> Ref:
        """max(x, low), at most low + cap."""
        before = self.rewriter.find(x)
        if before is not None and before.op == RELU and isinstance(low, float) and low == 0:
            if cap is None:
                return x
            if self.readers.get(before.name) == 1:
                cap = min(cap, before.kwargs.get("cap", math.inf))
                return self.rewriter.swap(replace(before, kwargs={"cap": cap}))
        return self.add(self.relu(self.add(x, -low), cap), low)

    def below(self, x: Ref, high: Number) -> Ref:
        """min(x, high) = high − relu(high − x)."""
        before = self.rewriter.find(x)
        if before is not None and before.op == RELU and isinstance(high, float) and high > 0:
            return self.above(x, 0.0, high)
        return self.add(self.mul(self.relu(self.add(self.mul(x, -1.0), high)), -1.0), high)

    def maximum(self, x: Ref, y: Any) -> Ref:
        return self.rewriter.add(self.node, "aten.maximum.default", x, y)

    def minimum(self, x: Ref, y: Any) -> Ref:
        return self.rewriter.add(self.node, "aten.minimum.default", x, y)

    def leaky(self, x: Ref, slope: Number) -> Ref:
        """ReLU(x) − slope·ReLU(−x)."""
        return self.sum(self.relu(x), self.mul(self.relu(self.mul(x, -1.0)), -slope))


def _relu(w: _Writer) -> Ref:
    return w.above(w.node.args[0], 0.0)


def _clamp(w: _Writer, low: Any, high: Any) -> Ref | None:
    x = w.node.args[0]
    a, b = w.constant(low), w.constant(high)
    if (low is not None and a is None) or (high is not None and b is None):
        if low is not None:
            x = w.maximum(x, low) if a is None else w.above(x, a)
        return x if high is None else w.minimum(x, high) if b is None else w.below(x, b)
    if a is not None and b is not None:
        if isinstance(a, float) and isinstance(b, float):
            return w.above(x, a, b - a) if b > a else None
        return w.below(w.above(x, a), b)
    if a is not None:
        return w.above(x, a)
    return None if b is None else w.below(x, b)


def _extremum(largest: bool) -> Callable[[_Writer], Ref | None]:
    """max(x, c) and min(x, c), the constant on either side."""

    def spell(w: _Writer) -> Ref | None:
        x, other = w.node.args[:2]
        if w.constant(x) is not None:
            x, other = other, x
        value = w.constant(other)
        if value is None:
            return None
        return w.above(x, value) if largest else w.below(x, value)

    return spell


def _prelu(w: _Writer) -> Ref | None:
    slope = w.constant(w.arg(1))
    if isinstance(slope, Tensor):
        shape = w.node.shape or ()
        slope = slope.reshape(-1, *[1] * (len(shape) - 2))
    return None if slope is None else w.leaky(w.node.args[0], slope)


def _rrelu(w: _Writer) -> Ref:
    return w.leaky(w.node.args[0], (w.arg(1, 1 / 8) + w.arg(2, 1 / 3)) / 2)


def _threshold(w: _Writer) -> Ref | None:
    _, limit, value = w.node.args
    return w.above(w.node.args[0], float(limit)) if limit == value else None


def _abs(w: _Writer) -> Ref:
    return w.leaky(w.node.args[0], -1.0)


def _hardsigmoid(w: _Writer) -> Ref:
    return w.mul(w.above(w.add(w.node.args[0], 3.0), 0.0, 6.0), 1 / 6)


def _where(w: _Writer) -> Ref | None:
    """where(x > c, x, c), and where(x > 0, x, slope·x), with the comparison in any spelling."""
    condition, then, other = w.node.args
    compared = comparison(w.rewriter, condition)
    if compared is None:
        return None
    x, limit, positive = compared
    if not positive:
        then, other = other, then
    if then != x:
        return None
    value = w.constant(other)
    if value is not None:
        same = isinstance(value, float) and isinstance(limit, float) and value == limit
        return w.above(x, value) if same else None
    scaled = w.rewriter.find(other)
    if limit == 0.0 and scaled is not None and scaled.op.startswith("aten.mul.") and x in scaled.args:
        slope = w.constant(next((a for a in scaled.args if a != x), None))
        return None if slope is None else w.leaky(x, slope)
    return None


def _masked(w: _Writer) -> Ref | None:
    """X · (x > 0), the mask as bool or cast to a number."""
    for x, mask in (w.node.args[:2], w.node.args[1::-1]):
        made = w.rewriter.find(mask)
        if made is not None and made.op in ("aten._to_copy.default", "aten.to.dtype"):
            mask = made.args[0]
        compared = comparison(w.rewriter, mask)
        if compared is not None and compared[0] == x and compared[1] == 0.0 and compared[2]:
            return w.above(x, 0.0)
    return None


_SPELLINGS: dict[str, Callable[[_Writer], Any]] = {
    "aten.relu.default": _relu,
    "aten.relu6.default": lambda w: w.above(w.node.args[0], 0.0, 6.0),
    "aten.hardtanh.default": lambda w: _clamp(w, float(w.arg(1, -1.0)), float(w.arg(2, 1.0))),
    "aten.clamp.default": lambda w: _clamp(w, w.arg(1, w.node.kwargs.get("min")), w.arg(2, w.node.kwargs.get("max"))),
    "aten.clamp.Tensor": lambda w: _clamp(w, w.arg(1, w.node.kwargs.get("min")), w.arg(2, w.node.kwargs.get("max"))),
    "aten.clamp_min.default": lambda w: _clamp(w, w.arg(1), None),
    "aten.clamp_min.Tensor": lambda w: _clamp(w, w.arg(1), None),
    "aten.clamp_max.default": lambda w: _clamp(w, None, w.arg(1)),
    "aten.clamp_max.Tensor": lambda w: _clamp(w, None, w.arg(1)),
    "aten.maximum.default": _extremum(True),
    "aten.max.other": _extremum(True),
    "aten.fmax.default": _extremum(True),
    "aten.minimum.default": _extremum(False),
    "aten.min.other": _extremum(False),
    "aten.fmin.default": _extremum(False),
    "aten.leaky_relu.default": lambda w: w.leaky(w.node.args[0], float(w.arg(1, 0.01))),
    "aten.prelu.default": _prelu,
    "aten._prelu_kernel.default": _prelu,
    "aten.rrelu.default": _rrelu,
    "aten.threshold.default": _threshold,
    "aten.abs.default": _abs,
    "aten.hardsigmoid.default": _hardsigmoid,
    "aten.where.self": _where,
    "aten.where.ScalarSelf": _where,
    "aten.where.ScalarOther": _where,
    "aten.mul.Tensor": _masked,
}
