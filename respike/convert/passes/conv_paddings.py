"""Convolutions whose padding is a word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Rewriter, rewrite

WORDS = {f"aten.conv{n}d.padding": f"aten.conv{n}d.default" for n in (1, 2, 3)}


def spell_paddings(graph: Graph) -> Graph:
    """``"valid"`` and ``"same"`` become numbers, so that there are kernels for such convolutions.

    ``"same"`` of a kernel of even reach is longer at one end than at the other, which no number says: it stays.
    """

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op in WORDS:
            rank = int(node.op[9])
            ones = [1] * rank
            given = [*node.args, *[None, ones, "valid", ones, 1][len(node.args) - 2 :]]
            for k in (3, 5):  # stride and dilation
                given[k] = [given[k]] * rank if isinstance(given[k], int) else given[k] * (rank // len(given[k]))
            sides = [n or 0 for n in rewriter.shape(given[1].name)[2:]]
            beyond = [d * (k - 1) if given[4] == "same" else 0 for d, k in zip(given[5], sides, strict=True)]
            if all(n % 2 == 0 for n in beyond):
                given[4] = [n // 2 for n in beyond]
                node = replace(node, op=WORDS[node.op], args=tuple(given))
        return rewriter.keep(node)

    return rewrite(graph, step)
