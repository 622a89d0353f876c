"""The nodes of a file in an order in which each finds what it reads, as onnxruntime sorts them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...text import shown
from ..errors import ConversionError


def put_in_order(graph: Any) -> None:
    """Sort the nodes so that values are made before they are read; nodes already in order stay where they are.

    Raises:
        ConversionError: two nodes or weights make the same value, a value is made nowhere, or nodes wait for each
            other.
    """
    known = _given(graph)
    maker: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in known or name in maker:
                raise ConversionError(f"{_what(graph.node, index)} writes {shown(name)!r}, which exists already")
            maker[name] = index
    waits_for: list[set[int]] = []
    for index, node in enumerate(graph.node):
        for name in filter(None, node.input):
            if name not in known and name not in maker:
                raise ConversionError(f"{_what(graph.node, index)} reads {shown(name)!r}, which no node computes")
        waits_for.append({maker[name] for name in node.input if name in maker})
    order = _sorted(graph.node, waits_for)
    if order != list(range(len(order))):
        nodes = [type(node).FromString(node.SerializeToString()) for node in (graph.node[i] for i in order)]
        del graph.node[:]
        graph.node.extend(nodes)


def _given(graph: Any) -> set[str]:
    """Names that are there before any node runs."""
    counts = Counter(t.name for t in graph.initializer)
    for name, count in counts.items():
        if count > 1:
            raise ConversionError(f"{count} weights share the name {shown(name)!r}: there must not be two")
    return set(counts) | {i.name for i in graph.input}


def _sorted(nodes: Sequence[Any], waits_for: Sequence[set[int]]) -> list[int]:
    """Of the nodes that wait for nothing more, the first in the file is next."""
    left = [len(others) for others in waits_for]
    readers: list[list[int]] = [[] for _ in nodes]
    for index, others in enumerate(waits_for):
        for other in others:
            readers[other].append(index)
    ready = [index for index, count in enumerate(left) if not count]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers[index]:
            left[reader] -= 1
            if not left[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        raise ConversionError(_cycle(nodes, waits_for, set(range(len(nodes))) - set(order)))
    return order


def _cycle(nodes: Sequence[Any], waits_for: Sequence[set[int]], stuck: set[int]) -> str:
    """Names the nodes of one cycle: whoever is stuck waits for another that is."""
    path = [min(stuck)]
    while (other := min(waits_for[path[-1]] & stuck)) not in path:
        path.append(other)
    path = path[path.index(other) :][::-1]
    names = ", ".join(_what(nodes, i) for i in path[:4])
    more = f" and {len(path) - 4} more" if len(path) > 4 else ""
    if len(path) == 1:
        own = next(name for name in nodes[path[0]].input if name in nodes[path[0]].output)
        return f"{names} reads {shown(own)!r}, which it writes itself: no order of the nodes computes it"
    return f"{names}{more} wait for each other, in a circle: no order of the nodes computes them"


def _what(nodes: Sequence[Any], index: int) -> str:
    return f"node {shown(label(nodes[index], index))!r} ({shown(nodes[index].op_type)})"


def label(node: Any, index: int) -> str:
    """The node's own name, or its operator and place where it has none."""
    return node.name or f"{node.op_type}_{index}"
