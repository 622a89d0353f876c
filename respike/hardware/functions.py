"""Which function of the user's model a part of a sum of ReLUs belongs to."""

from __future__ import annotations

import re
from dataclasses import replace

from ..convert.graph import Graph, Node

_WITHIN = re.compile(r"_(\d+_of_\d+(_\w+)?|(mul|add)(_\d+)?)")
"""What follows the function's name in the names of the nodes of its sum: ``silu_2_of_4``, ``silu_add_3``."""


def function_of(graph: Graph, node: Node) -> Node | None:
    """The node with the name and place of the function that it is computed for; None outside of sums of ReLUs."""
    for name in sorted(graph.populations, key=len, reverse=True):
        if node.name.startswith(name) and _WITHIN.fullmatch(node.name, len(name)):
            return replace(node, name=name, kind=re.sub(r" \d+/\d+$", "", node.kind))
    return None


def function_place(where: str) -> str:
    """The place of a function, from that of a part of its sum: ``1 (SiLU)`` from ``1 (SiLU 2/4)``."""
    return re.sub(r" \d+/\d+\)$", ")", re.sub(r"^(forward: \w+?)_\d+_of_\d+$", r"\1", where))
