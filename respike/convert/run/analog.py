"""The graph run as the ANN that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..graph import Graph, Node, function
from .graph_walk import Value, Walk


class Analog:
    """The ANN itself: nothing varies in time."""

    steps = 1

    def spike(self, node: Node, x: Value) -> Value:
        return function(node.op)(x, **node.kwargs)

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        return apply(*args, **kwargs)

    def decode(self, name: str, x: Value) -> Value:
        return x


def evaluate_graph(graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """What the graph computes as an ANN: the tensors among its outputs."""
    walk = Walk(graph, graph.tensors, inputs)
    walk.run(graph.nodes, Analog())
    return [x for x in walk.outputs(Analog()) if isinstance(x, Tensor)]
