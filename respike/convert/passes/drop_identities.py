"""What gives back its argument in a roundabout way: whole slices, powers of 1, sign(x)·|x|."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..graph import RELU, Graph, Node, Ref, Rewriter, rewrite

_SUMS = {"aten.add.Tensor": 1, "aten.sub.Tensor": -1}
_DEEPEST = 4


def drop_identities(graph: Graph) -> Graph:
    """Ensures: sums do not hold a value and its negative, as x + (y − x) from a straight-through estimator does.

    No slice is all of its axis, and no padding adds nothing.
    """

    def step(node: Node, rewriter: Rewriter) -> Any:
        found = _argument(node, rewriter)
        same = found is not None and rewriter.shape(found.name) == node.shape
        return found if same else rewriter.keep(node)

    return rewrite(graph, step)


def _argument(node: Node, rewriter: Rewriter) -> Ref | None:
    """The value that the node gives back; None if it computes."""
    if node.op == "aten.pow.Tensor_Scalar" and node.args[1] == 1:
        return node.args[0]  # type: ignore[no-any-return]
    if node.op == "aten.slice.Tensor" and _is_whole(*node.args[2:]):
        return node.args[0]  # type: ignore[no-any-return]
    if node.op in ("aten.pad.default", "aten.constant_pad_nd.default") and not any(node.args[1]):
        return node.args[0]  # type: ignore[no-any-return]
    if node.op in _SUMS:
        terms: Counter[str] = Counter()
        _collect(Ref(node.name), node, 1, terms, rewriter, _DEEPEST)
        left = {name: n for name, n in terms.items() if n}
        cancelled = len(left) < len(terms)
        return Ref(next(iter(left))) if cancelled and list(left.values()) == [1] else None
    if node.op == "aten.mul.Tensor" and all(isinstance(a, Ref) for a in node.args):
        for sign, size in (node.args, node.args[::-1]):
            if _of(sign, rewriter, "aten.sign.default") is not None:
                inner = _of(size, rewriter, RELU, "aten.relu.default") or size  # of |x|, as nn.LPPool has it
                magnitude = _of(inner, rewriter, "aten.abs.default")
                if magnitude is not None and magnitude == _of(sign, rewriter, "aten.sign.default"):
                    return magnitude
    return None


def _is_whole(start: Any = None, end: Any = None, step: Any = 1) -> bool:
    """Whether a slice is all of its axis, as ``x[..., :]`` has it."""
    return start in (None, 0) and (end is None or end == 2**63 - 1) and step == 1


def _of(ref: Any, rewriter: Rewriter, *ops: str) -> Ref | None:
    """The argument of the operation that gives this value."""
    node = rewriter.find(ref)
    found = node.args[0] if node is not None and node.op in ops else None
    return found if isinstance(found, Ref) else None


def _collect(ref: Any, node: Node | None, sign: int, terms: Counter[str], rewriter: Rewriter, depth: int) -> None:
    """Add the summands of a sum, with their signs."""
    plain = node is not None and node.op in _SUMS and not node.kwargs and len(node.args) == 2
    if node is None or not plain or not depth or not all(isinstance(a, Ref) for a in node.args):
        terms[ref.name] += sign
        return
    for arg, factor in zip(node.args, (1, _SUMS[node.op]), strict=True):
        _collect(arg, rewriter.find(arg), sign * factor, terms, rewriter, depth - 1)
