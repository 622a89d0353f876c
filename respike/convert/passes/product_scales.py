"""Numbers that multiply the operands of a matrix product of signals go behind it.

Attention divides by the root of its width: some code divides the queries, some the scores, and exporters put a root of
the factor on queries and keys each. It is the same function, and becomes the same network: weights without the factor,
in front of neurons whose spikes nothing has to multiply.
"""

from __future__ import annotations

from typing import Any

from ..graph import Graph, Node, Ref, Rewriter, rewrite
from ..graph.rules import MOVES, short
from .constants import constant

_PRODUCTS = frozenset("matmul bmm mm".split())


def scales_behind_products(graph: Graph) -> Graph:
    """matmul(a·x, b·y) becomes a·b·matmul(x, y) for numbers a and b where nothing else reads a·x and b·y."""
    signals, read = graph.signals(), graph.output_names()
    users = graph.users
    gone: dict[str, int] = {}  # multiplications, and which of their arguments is the signal
    behind: dict[str, float] = {}

    def alone(name: str) -> bool:
        return len(users.get(name, ())) == 1 and name not in read

    def scale(arg: Any, rewriter: Rewriter) -> float:
        """The number that an operand is multiplied by, which is taken away from it."""
        node = graph.node(arg.name)
        while node is not None and alone(node.name) and node.op in MOVES:
            node = graph.node(node.args[0].name)
        if node is None or not alone(node.name) or node.kwargs or short(node.op) not in ("mul", "div"):
            return 1.0
        at = 0 if isinstance(node.args[0], Ref) and node.args[0].name in signals else 1
        by, divides = constant(rewriter, node.args[1 - at]), short(node.op) == "div"
        if not isinstance(by, float) or (divides and (at or not by)) or node.shape != graph.shape(node.args[at].name):
            return 1.0
        gone[node.name] = at
        return 1 / by if divides else by

    known = Rewriter(graph)
    for node in graph.nodes:
        operands = [a for a in node.args[:2] if isinstance(a, Ref) and a.name in signals]
        if short(node.op) in _PRODUCTS and len(operands) == 2:
            factor = scale(operands[0], known) * scale(operands[1], known)
            if factor != 1:
                behind[node.name] = factor

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.name in gone:
            return node.args[gone[node.name]]
        kept = rewriter.keep(node)
        return rewriter.add(node, "aten.mul.Tensor", kept, behind[node.name]) if node.name in behind else kept

    return rewrite(graph, step)
