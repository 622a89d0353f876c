"""What a node is by itself, before it is known what varies in time."""

from __future__ import annotations

from typing import Any

from ..graph import RELU, Graph, Node, Ref, leaves
from ..graph.rules import LINEAR, MAXIMA, Role, Signals


def role_of(node: Node, graph: Graph, signals: set[str]) -> Role | None:
    """The role of a node all of whose inputs vary in time; None if it has none."""
    if node.is_shape:
        return Role.SHAPE
    if node.name not in signals:
        return Role.CONSTANT
    if node.op == RELU:
        return Role.SPIKE
    if node.op == "operator.getitem":
        source = graph.node(node.args[0].name)
        if source is not None and source.op in MAXIMA and node.args[1] != 0:
            return None
        return Role.LINEAR
    if node.op in MAXIMA:
        return None if _indices_used(node, graph) else Role.MAX
    return Role.LINEAR if _linear(node, graph, signals) else None


def _linear(node: Node, graph: Graph, varying: set[str]) -> bool:
    """Whether the node is linear in the values whose names are given, by its rule."""
    rule = LINEAR.get(node.op)
    if rule is None or rule.signals is Signals.CHOSEN:
        return False
    if rule.signals is Signals.ALL:
        return True
    found = [isinstance(a, Ref) and a.name in varying for a in leaves((node.args, node.kwargs))]
    shapes = [isinstance(a, Ref) and _is_shape(a.name, graph) for a in leaves((node.args, node.kwargs))]
    tensors = [v and not s for v, s in zip(found, shapes, strict=True)]
    return sum(tensors) <= 1 and (rule.signals is Signals.ONE or tensors[0])


def linear_in_time(node: Node, timed: set[str]) -> bool:
    """Whether the node is linear in what varies in time, the rest of what it reads being static."""
    rule = LINEAR.get(node.op)
    if rule is None or not rule.factor:
        return False
    if rule.signals is Signals.CHOSEN:
        return not any(isinstance(a, Ref) and a.name in timed for a in leaves([node.args[rule.chooser]]))
    found = [isinstance(a, Ref) and a.name in timed for a in leaves((node.args, node.kwargs))]
    return sum(found) == 1 and (rule.signals is Signals.ONE or found[0])


def is_weighted(node: Node) -> bool:
    rule = LINEAR.get(node.op)
    return rule is not None and rule.weighted


def _is_shape(name: str, graph: Graph) -> bool:
    node = graph.node(name)
    return node is not None and node.is_shape


def _indices_used(node: Node, graph: Graph) -> bool:
    return any(u.op == "operator.getitem" and u.args[1] != 0 for u in graph.users.get(node.name, []))


def before_synapses(graph: Graph, signals: set[str]) -> set[str]:
    """Nodes from which synapses, a ReLU or a maximum are still to come: what is behind them all is the head."""
    busy: set[str] = set()
    for node in reversed(graph.nodes):
        rule: Any = LINEAR.get(node.op)
        active = node.op == RELU or node.op in MAXIMA or (rule is not None and rule.weighted)
        if node.name in signals and (active or node.name in busy):
            busy.update(node.refs)
    return busy


def named(name: str, node: Node) -> bool:
    return node.name == name or node.path == name or node.path.startswith(f"{name}.")
