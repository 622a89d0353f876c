"""Axes that are put in another order twice are put in one order once, or are left alone.

``nn.MultiheadAttention(batch_first=True)`` takes samples and sequence apart before and puts them back behind; an
exporter writes a channels-last layer norm between two permutations, and the next one begins with another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Rewriter, rewrite


def join_permutations(graph: Graph) -> Graph:
    """Ensures: no ``permute`` or ``transpose`` reads another one, and none leaves the axes as they are."""

    def step(node: Node, rewriter: Rewriter) -> Any:
        order = _order(node)
        if order is None:
            return rewriter.keep(node)
        x = node.args[0]
        before = rewriter.find(x)
        inner = None if before is None else _order(before)
        if before is not None and inner is not None:
            x, order = before.args[0], [inner[axis] for axis in order]
        if order == sorted(order):
            return x
        return rewriter.keep(node if inner is None else replace(node, op="aten.permute.default", args=(x, order)))

    return rewrite(graph, step)


def _order(node: Node) -> list[int] | None:
    """The old axis that becomes each new one; None for other operations."""
    if node.op not in ("aten.permute.default", "aten.transpose.int") or node.kwargs or node.shape is None:
        return None
    rank = len(node.shape)
    if node.op == "aten.permute.default":
        return [axis % rank for axis in node.args[1]]
    order = list(range(rank))
    if rank:
        i, j = (axis % rank for axis in node.args[1:3])
        order[i], order[j] = order[j], order[i]
    return order
