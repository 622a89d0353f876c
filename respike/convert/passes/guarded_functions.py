"""Functions that exporters guard against overflow and NaN become the function itself.

``torch.onnx`` writes softplus as where(x > 20, x, softplus(x)), and softmax behind a mask as
where(isnan(softmax(x)), 0, softmax(x)). The comparison is not a signal that can spike; the function is.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from ..graph import Graph, Node, Ref, Rewriter, rewrite
from .constants import comparison, constant

_WHERE = ("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther")
_SOFTPLUS = "aten.softplus.default"


def drop_guards(graph: Graph) -> Graph:
    """Requires: weights folded to constants. Ensures: softplus and softmax stand without a choice behind them.

    A softmax is NaN only where a row is −inf throughout, that is where a query sees no key. With a guard that writes 0
    there, it becomes PyTorch's ``_safe_softmax``, which does the same.
    """

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op not in _WHERE:
            return rewriter.keep(node)
        condition, then, other = node.args
        found = _softmax(node, condition, then, other, rewriter) or _softplus(condition, then, other, rewriter)
        same = found is not None and rewriter.shape(found.name) == node.shape
        return found if same else rewriter.keep(node)

    return rewrite(graph, step)


def _softmax(node: Node, condition: Any, then: Any, other: Any, rewriter: Rewriter) -> Ref | None:
    """where(isnan(s), 0, s) for a softmax s."""
    guard, made = rewriter.find(condition), rewriter.find(other)
    if guard is None or guard.op != "aten.isnan.default" or guard.args[0] != other or constant(rewriter, then) != 0.0:
        return None
    if made is None or made.op != "aten.softmax.int" or made.shape != node.shape:
        return None
    return rewriter.add(made, "aten._safe_softmax.default", *made.args, **made.kwargs)


def _softplus(condition: Any, then: Any, other: Any, rewriter: Rewriter) -> Ref | None:
    """where(a·x > c, x, softplus(b·x)/b), with c so large that float32 does not tell softplus from its argument."""
    compared = comparison(rewriter, condition)
    if compared is None:
        return None
    value, limit, above = compared
    x, function = (then, other) if above else (other, then)
    share, soft = 1.0, rewriter.find(function)
    if soft is not None and soft.op != _SOFTPLUS:
        inner, share = _scaled(function, rewriter)
        soft = rewriter.find(inner)
    if soft is None or soft.op != _SOFTPLUS or soft.args[1:2] not in ((), (1,)):
        return None
    a, b = (_multiple(v, x, rewriter) for v in (value, soft.args[0]))
    if not a > 0 or not math.isclose(b * share, 1, rel_tol=1e-6) or not isinstance(limit, float):
        return None
    return function if _is_straight(limit / a * b) else None


def _multiple(value: Ref, x: Any, rewriter: Rewriter) -> float:
    """How many times x a value is; NaN if it is something else."""
    if value == x:
        return 1.0
    inner, factor = _scaled(value, rewriter)
    return factor if inner == x else math.nan


def _scaled(value: Ref, rewriter: Rewriter) -> tuple[Ref, float]:
    """A value as a number times another value."""
    node = rewriter.find(value)
    if node is None or node.op not in ("aten.mul.Tensor", "aten.div.Tensor") or node.kwargs:
        return value, 1.0
    numbers = [constant(rewriter, arg) for arg in node.args]
    if isinstance(numbers[1], float) and numbers[1]:
        return node.args[0], 1 / numbers[1] if node.op == "aten.div.Tensor" else numbers[1]
    if isinstance(numbers[0], float) and node.op == "aten.mul.Tensor":
        return node.args[1], numbers[0]
    return value, 1.0


def _is_straight(limit: float) -> bool:
    """Whether softplus is the identity from there on, as far as float32 goes."""
    x = torch.tensor(limit)
    return limit > 0 and bool(F.softplus(x, threshold=math.inf) == x)
