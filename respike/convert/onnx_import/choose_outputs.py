"""Which values of a graph to return: the file's outputs, or what they are made from."""

from __future__ import annotations

from typing import Any

from .operator_table import BUILDERS


def suggested(graph: Any) -> list[str]:
    """The outputs that can be imported; in place of a classifier's maps, the numbers they are made from."""
    maker = {name: node for node in graph.node for name in node.output if name}
    found = []
    for output in graph.output:
        name = output.name
        while name in maker and not _known(maker[name], maker) and maker[name].input:
            name = maker[name].input[0]
        if name in maker and _reads_known(name, maker):  # what leads back to an input is no network
            found.append(name)
    return list(dict.fromkeys(found))


def _known(node: Any, maker: dict[str, Any]) -> bool:
    if node.op_type == "ArrayFeatureExtractor" and any(name in maker for name in node.input[1:]):
        return False  # a label for a computed place
    return ("" if node.domain == "ai.onnx" else node.domain, node.op_type) in BUILDERS


def _reads_known(name: str, maker: dict[str, Any]) -> bool:
    """Whether every node that the value depends on is in the table."""
    seen: set[str] = set()
    queue = [name]
    while queue:
        current = queue.pop()
        node = maker.get(current)
        if current in seen or node is None:
            continue
        if not _known(node, maker):
            return False
        seen.add(current)
        queue.extend(node.input)
    return True
