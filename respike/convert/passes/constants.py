"""Compute once what depends on weights alone, say a weight that is itself parametrised."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..graph import BATCH, DERIVED, Graph, Node, Ref, Rewriter, function, leaves, map_leaves, rewrite

_CUTS = ("aten.split.", "aten.split_with_sizes.", "aten.chunk.", "aten.unbind.")
"""Operations that give a list of tensors."""


def fold_constants(graph: Graph) -> Graph:
    """Ensures: no node with a shape of fixed size has constants alone as arguments."""
    signals = graph.signals()
    pieces: dict[str, Any] = {}  # what a constant is cut into

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op == "operator.getitem" and node.args[0].name in pieces:
            return rewriter.tensor(f"{node.name}_folded", pieces[node.args[0].name][node.args[1]])
        known = all(a.name in rewriter.tensors for a in leaves((node.args, node.kwargs)) if isinstance(a, Ref))
        cut = node.op.startswith(_CUTS)
        fixed = node.shape is not None and BATCH not in node.shape and DERIVED not in node.shape
        if node.name in signals or not known or not (fixed or cut) or node.is_shape or "rand" in node.op:
            return rewriter.keep(node)

        def resolve(arg: Any) -> Any:
            return rewriter.tensors[arg.name] if isinstance(arg, Ref) else arg

        value = function(node.op)(*map_leaves(resolve, node.args), **map_leaves(resolve, node.kwargs))
        if cut:
            pieces[node.name] = value
        if not isinstance(value, Tensor):
            return rewriter.keep(node)
        return rewriter.tensor(f"{node.name}_folded", value.float() if value.is_floating_point() else value)

    return rewrite(graph, step)


def constant(rewriter: Rewriter, arg: Any) -> Tensor | float | None:
    """The value of an argument that is a number or a constant tensor; a uniform tensor counts as a number."""
    if isinstance(arg, (int, float)) and not isinstance(arg, bool):
        return float(arg)
    if not isinstance(arg, Ref):
        return None
    if arg.name in rewriter.tensors:
        value = rewriter.tensors[arg.name]
        if not value.numel():
            return None
        first = value.flatten()[0]
        return float(first) if bool((value == first).all()) else value
    made = rewriter.find(arg)
    return None if made is None else _filled(made)


def comparison(rewriter: Rewriter, condition: Any) -> tuple[Ref, Tensor | float, bool] | None:
    """``x > c`` as (x, c, True) and ``x < c`` as (x, c, False); equality does not matter here."""
    node = rewriter.find(condition)
    if node is None or node.op.split(".")[1] not in ("gt", "ge", "lt", "le"):
        return None
    positive = node.op.split(".")[1][0] == "g"
    x, limit = node.args
    if constant(rewriter, x) is not None:
        x, limit, positive = limit, x, not positive
    value = constant(rewriter, limit)
    return None if value is None or not isinstance(x, Ref) else (x, value, positive)


def _filled(node: Node) -> float | None:
    name = node.op.split(".")[1]
    if name in ("zeros", "zeros_like", "new_zeros"):
        return 0.0
    if name in ("ones", "ones_like", "new_ones"):
        return 1.0
    if name in ("full", "full_like", "new_full"):
        value = node.args[2 if name == "new_full" else 1]
        return float(value) if isinstance(value, (int, float)) else None
    return None
