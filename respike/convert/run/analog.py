"""The graph run as the ANN that it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..graph import Graph, Node, function
from .graph_walk import Value, Walk
from .moving_inputs import means


class Analog:
    """The ANN itself: nothing varies in time."""

    steps = 1

    def arriving(self, node: Node, name: str, x: Value) -> Value:
        return x

    def spike(self, node: Node, x: Value) -> Value:
        return function(node.op)(x, **node.kwargs)

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        return apply(*args, **kwargs)

    def decode(self, name: str, x: Value) -> Value:
        return x


class Activations(Analog):
    """The same; keeps what each layer sends, ``(N, ...)``, by node name."""

    def __init__(self) -> None:
        self.sent: dict[str, Tensor] = {}

    def arriving(self, node: Node, name: str, x: Value) -> Value:
        return x

    def spike(self, node: Node, x: Value) -> Value:
        self.sent[node.name] = super().spike(node, x)
        return self.sent[node.name]


def all_outputs(
    graph: Graph,
    inputs: list[Tensor],
    last_use: Mapping[str, list[str]] | None = None,
    mode: Analog | None = None,
) -> list[Any]:
    """What the graph computes as an ANN: all its outputs, those that are no tensors among them.

    Args:
        graph: With its weights.
        inputs: One tensor for each of its inputs; of those that move, the ANN is shown the mean of the frames.
        last_use: What can be dropped behind each node, as an execution plan says it; None: nothing is.
        mode: What becomes of its layers.
    """
    walk = Walk(graph, graph.tensors, means(graph, inputs))
    mode = mode or Analog()
    walk.run(graph.nodes, mode, last_use)
    return walk.outputs(mode)


def evaluate_graph(graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """The tensors among its outputs."""
    return [x for x in all_outputs(graph, inputs) if isinstance(x, Tensor)]
