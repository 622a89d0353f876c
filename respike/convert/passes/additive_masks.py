"""A constant that adds −∞ is a mask: those places hold −∞, whatever is behind them."""

from __future__ import annotations

import math
from typing import Any

from ..graph import Graph, Node, Ref, Rewriter, rewrite


def spell_masks(graph: Graph) -> Graph:
    """A sum x + mask becomes masked_fill(x, mask == −∞, −∞), plus what else the mask adds.

    Requires: weights folded to constants. Ensures: no constant that is added holds −∞, so a network can be saved, as
    one whose module says ``masked_fill`` can.
    """

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op != "aten.add.Tensor" or node.kwargs or len(node.args) != 2:
            return rewriter.keep(node)
        for x, mask in (node.args, node.args[::-1]):
            value = rewriter.tensors.get(mask.name) if isinstance(mask, Ref) else None
            if value is None or not isinstance(x, Ref) or x.name in rewriter.tensors:
                continue
            hidden = value == -math.inf
            rest = value.masked_fill(hidden, 0)
            if rewriter.shape(x.name) != node.shape or not bool(hidden.any()) or not bool(rest.isfinite().all()):
                continue
            if bool(rest.any()):
                x = rewriter.add(node, node.op, x, rewriter.tensor(f"{mask.name}_finite", rest))
            return rewriter.add(
                node, "aten.masked_fill.Scalar", x, rewriter.tensor(f"{mask.name}_hidden", hidden), -math.inf
            )
        return rewriter.keep(node)

    return rewrite(graph, step)
