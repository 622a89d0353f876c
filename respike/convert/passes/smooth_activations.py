"""Smooth activations that are spelled out become one function of one signal.

x·½(1 + erf(x/√2)) is a GELU, x·σ(x) a SiLU, x·clip(x + 3, 0, 6)/6 a hardswish, x·tanh(softplus(x)) a Mish: exporters
and user code write them so. As written they multiply two signals; as functions of one they are one kind of neuron.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..graph import Graph, Node, Ref, Rewriter, rewrite
from .constants import constant

_PRODUCTS = ("aten.mul.Tensor", "aten.div.Tensor")
_DEEPEST = 8
"""Nodes that are looked at behind one another."""
_LARGEST_POWER = 3
_TANH = math.sqrt(2 / math.pi)
_CUBE = 0.044715
"""Of the polynomial in GELU's approximation by tanh (Hendrycks and Gimpel, 2016)."""

Polynomial = dict[int, float]
"""Coefficients by power."""


def join_smooth_activations(graph: Graph) -> Graph:
    """Requires: weights folded to constants. Ensures: GELU, SiLU, hardswish and Mish are one node each."""
    joined: set[str] = set()

    def multiple(node: Node, rewriter: Rewriter, y: Ref, scale: float) -> Ref:
        joined.add(y.name)
        return y if scale == 1 else rewriter.add(node, "aten.mul.Tensor", y, scale)

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op not in _PRODUCTS:
            return rewriter.keep(node)
        scale, factors = _factors(node, rewriter, _DEEPEST)
        if len(factors) == 1 and factors[0].name in joined:
            return multiple(node, rewriter, factors[0], _rounded(scale))
        found = _activation(node, scale, factors, rewriter)
        if found is None:
            return rewriter.keep(node)
        x, inner, op, outer, options = found
        if inner != 1:
            x = rewriter.add(node, "aten.mul.Tensor", x, inner)
        return multiple(node, rewriter, rewriter.add(node, op, x, **options), outer)

    return rewrite(graph, step)


def _activation(
    node: Node, scale: float, factors: list[Ref], rewriter: Rewriter
) -> tuple[Ref, float, str, float, dict[str, Any]] | None:
    """The signal, a factor of it, the function of that, a factor of the result, and options of the function."""
    if len(factors) != 2:
        return None
    for x, gate in (factors, factors[::-1]):
        if rewriter.shape(x.name) != node.shape:
            continue
        for low, slope, inner in _affine(gate, rewriter):
            found = _of_gate(x, low, slope, inner, rewriter)
            if found is not None:
                factor, op, result, options = found
                return x, factor, op, _rounded(result * scale), options
    return None


def _of_gate(
    x: Ref, low: float, slope: float, gate: Node, rewriter: Rewriter
) -> tuple[float, str, float, dict[str, Any]] | None:
    """What x · (low + slope · gate) is."""
    op = gate.op.split(".")[1]
    source = gate.args[0]
    of = _polynomial(source, x, rewriter, _DEEPEST) if isinstance(source, Ref) else None
    if op == "tanh" and _same(low, 0) and _is_softplus(source, x, rewriter):
        return 1.0, "aten.mish.default", slope, {}
    if of is None:
        return None
    line, cube, offset = of.get(1, 0.0), of.get(3, 0.0), of.get(0, 0.0)
    straight = set(of) <= {0, 1} and line != 0
    if op == "erf" and straight and _same(low, slope) and _same(line, math.sqrt(0.5)) and _same(offset, 0):
        return 1.0, "aten.gelu.default", 2 * slope, {}
    if op == "tanh" and set(of) == {1, 3} and _same(low, slope) and _same(line, _TANH) and _same(cube, _TANH * _CUBE):
        return 1.0, "aten.gelu.default", 2 * slope, {"approximate": "tanh"}
    if op == "tanh" and straight and _same(low, slope) and _same(offset, 0):  # ½(1 + tanh(z)) = σ(2z)
        line = _rounded(2 * line)
        return line, "aten.silu.default", 2 * slope / line, {}
    if op == "sigmoid" and straight and _same(low, 0) and _same(offset, 0):
        line = _rounded(line)
        return line, "aten.silu.default", slope / line, {}
    bounds = _bounds(gate, rewriter)
    if bounds is not None and straight and line > 0 and _same(low, 0) and _same(bounds[0], 0):
        height = bounds[1] / line
        if _same(height, 6) and _same(offset / line, 3):
            return 1.0, "aten.hardswish.default", slope * bounds[1], {}
    if op == "hardsigmoid" and straight and _same(low, 0) and _same(line, 1) and _same(offset, 0):
        return 1.0, "aten.hardswish.default", slope, {}
    return None


def _factors(node: Node, rewriter: Rewriter, depth: int) -> tuple[float, list[Ref]]:
    """A product as a number and values that are no products; none of them if one is a constant tensor."""
    scale = 1.0
    factors: list[Ref] = []
    for place, arg in enumerate(node.args):
        number = constant(rewriter, arg)
        divides = node.op == "aten.div.Tensor" and place == 1
        if isinstance(number, float) and (number or not divides):
            scale = scale / number if divides else scale * number
        elif number is not None or divides:
            return 1.0, []
        else:
            inner = rewriter.find(arg)
            times, found = 1.0, [arg]
            if inner is not None and inner.op in _PRODUCTS and depth:
                times, found = _factors(inner, rewriter, depth - 1)
                times, found = (times, found) if found else (1.0, [arg])
            scale, factors = scale * times, [*factors, *found]
    return scale, factors


def _affine(value: Ref, rewriter: Rewriter) -> Iterator[tuple[float, float, Node]]:
    """``(low, slope, gate)`` with value = low + slope · gate, as far as one sees through sums and products."""
    low, slope = 0.0, 1.0
    for _ in range(_DEEPEST):
        node = rewriter.find(value)
        if node is None or not node.args:
            return
        yield low, slope, node
        numbers = [constant(rewriter, a) for a in node.args[:2]]
        index = next((i for i, n in enumerate(numbers) if isinstance(n, float)), None)
        if index is None or len(node.args) != 2 or node.kwargs or not isinstance(node.args[1 - index], Ref):
            return
        number, value = numbers[index], node.args[1 - index]
        assert isinstance(number, float)
        if node.op == "aten.add.Tensor":
            low += slope * number
        elif node.op == "aten.mul.Tensor":
            slope *= number
        elif node.op == "aten.div.Tensor" and index == 1 and number:
            slope /= number
        else:
            return


def _polynomial(value: Any, x: Ref, rewriter: Rewriter, depth: int) -> Polynomial | None:
    """A value as a polynomial in x; None if it is something else, or of a higher power than any is needed."""
    number = constant(rewriter, value)
    if isinstance(number, float):
        return {0: number}
    if value == x:
        return {1: 1.0}
    node = rewriter.find(value)
    if node is None or depth == 0 or node.kwargs:
        return None
    read = [_polynomial(a, x, rewriter, depth - 1) for a in node.args]
    if any(found is None for found in read):
        return None
    terms: list[Polynomial] = [found for found in read if found is not None]
    if node.op == "aten.add.Tensor":
        return {n: terms[0].get(n, 0.0) + terms[1].get(n, 0.0) for n in {*terms[0], *terms[1]}}
    if node.op == "aten.mul.Tensor":
        return _times(*terms)
    if node.op == "aten.div.Tensor" and set(terms[1]) == {0} and terms[1][0]:
        return {n: c / terms[1][0] for n, c in terms[0].items()}
    if node.op == "aten.pow.Tensor_Scalar" and terms[1].get(0) in (2.0, 3.0) and set(terms[1]) == {0}:
        square = _times(terms[0], terms[0])
        return square if square is None or terms[1][0] == 2 else _times(square, terms[0])
    return None


def _times(a: Polynomial, b: Polynomial) -> Polynomial | None:
    found: Polynomial = {}
    for (m, c), (n, d) in ((p, q) for p in a.items() for q in b.items()):
        found[m + n] = found.get(m + n, 0.0) + c * d
    return found if max(found) <= _LARGEST_POWER else None


def _is_softplus(value: Any, x: Ref, rewriter: Rewriter) -> bool:
    node = rewriter.find(value)
    return (
        node is not None and node.op == "aten.softplus.default" and node.args[0] == x and node.args[1:2] in ((), (1,))
    )


def _bounds(gate: Node, rewriter: Rewriter) -> tuple[float, float] | None:
    """Between which numbers an activation keeps its argument."""
    if gate.op == "aten.relu6.default":
        return 0.0, 6.0
    if gate.op not in ("aten.clamp.default", "aten.hardtanh.default"):
        return None
    numbers = [*gate.args[1:3], *(gate.kwargs[name] for name in ("min", "max") if name in gate.kwargs)]
    low, high = [*(constant(rewriter, n) for n in numbers), None, None][:2]
    return (low, high) if isinstance(low, float) and isinstance(high, float) else None


def _same(a: float, b: float) -> bool:
    """Whether two numbers are the same as far as float32 and the digits that people write go."""
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7)


def _rounded(a: float) -> float:
    return 1.0 if _same(a, 1) else a
