"""Whether passes kept what a network with quantised activations computes, where rounding decides between two steps.

Weights that are folded round otherwise, and a current that lies between two steps then falls on the other one, which is
no fault of the passes. So each quantised activation is held against the traced network's by itself, and what is behind
it goes on with the traced network's value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..graph import RELU, Graph, Node
from ..run.analog import Analog
from ..run.graph_walk import Walk

NEAR = 1e-3
"""How far from a tie, in steps, rounding may decide."""


def has_steps(node: Node) -> bool:
    """Whether a node is an activation that was quantised in training."""
    return node.op == RELU and ("levels" in node.kwargs or "step" in node.kwargs)


def evaluate_step_by_step(graph: Graph, traced: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """What the graph computes as an ANN, ties decided as in the traced graph.

    Where an activation differs in another way than by a tie, its own value is kept, so that outputs differ.
    """
    raw = Walk(traced, traced.tensors, inputs)
    raw.run(traced.nodes, Analog())
    walk = Walk(graph, graph.tensors, inputs)
    near: dict[str, Tensor] = {}  # by the activation, and what only scales or moves it: where rounding may decide
    for node in graph.nodes:
        walk.run([node], Analog())
        if has_steps(node):
            near[node.name] = _near_tie(walk.env[node.refs[0]], **node.kwargs)
        elif node.op in ("aten.mul.Tensor", "aten.add.Tensor") and len(node.refs) and node.refs[0] in near:
            near[node.name] = near[node.refs[0]]
        if node.name in near and traced.node(node.name) is not None:
            own, given = walk.env[node.name], raw.env[node.name]
            walk.env[node.name] = torch.where(near[node.name], given, own)
    return [x for x in walk.outputs(Analog()) if isinstance(x, Tensor)]


def _near_tie(x: Tensor, cap: Any = None, levels: int | None = None, step: Any = None, shift: float = 0.5) -> Tensor:
    place = x * levels / cap + shift if levels is not None else x / step + shift
    near: Tensor = (place - place.round()).abs() < NEAR
    return near
