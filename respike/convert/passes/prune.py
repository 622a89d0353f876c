"""Drop what no output needs."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph


def prune(graph: Graph) -> Graph:
    """Ensures: every node, and every weight, is read by a later node or an output."""
    needed = set(graph.output_names())
    kept = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            kept.append(node)
            needed.update(node.refs)
    tensors = {name: value for name, value in graph.tensors.items() if name in needed}
    return replace(graph, nodes=kept[::-1], tensors=tensors)
