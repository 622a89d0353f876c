"""Name the axes that a squeeze takes away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Rewriter, rewrite


def name_squeezed(graph: Graph) -> Graph:
    """``x.squeeze()`` takes away the axes of length 1 that the traced value has, and never the batch.

    Ensures: no ``squeeze`` depends on the number of samples, of which a piece of a batch may hold one.
    """

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op == "aten.squeeze.default":
            axes = [axis for axis, n in enumerate(rewriter.shape(node.args[0].name)) if n == 1]
            node = replace(node, op="aten.squeeze.dims", args=(node.args[0], axes))
        return rewriter.keep(node)

    return rewrite(graph, step)
