"""Give every node its role in time, or refuse the network with all reasons at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import ConversionError, Refusal
from ..graph import RELU, Graph, Node, Ref, leaves
from ..rules import LINEAR, MAXIMA, Role, Signals, refusal


def judge(graph: Graph, analog: Sequence[str] = ()) -> Graph:
    """Set ``role`` on every node.

    Args:
        graph: In normal form.
        analog: Module paths (or node names) whose nonlinear nodes stay analog.

    Raises:
        ConversionError: nodes without a place in time, listed; no ReLU; an ``analog`` name that fits nothing.
    """
    judged, refused = verdicts(graph, analog)
    error = objection(judged, refused, analog)
    if error is not None:
        raise error
    return judged


def objection(judged: Graph, refused: Sequence[Refusal], analog: Sequence[str] = ()) -> ConversionError | None:
    """Why a graph with these verdicts cannot be converted; None if it can."""
    if refused:
        return ConversionError(_headline(refused), refused)
    if any(node.role == Role.SPIKE for node in judged.nodes):
        return None
    return ConversionError(
        "there is no ReLU in this network, so nothing to convert; its outputs are an affine function of its input"
        if not analog
        else "every ReLU was kept analog, nothing is left to convert"
    )


def verdicts(graph: Graph, analog: Sequence[str] = ()) -> tuple[Graph, list[Refusal]]:
    """The graph with a role on every node, and the nodes that have no place in time.

    Raises:
        ConversionError: an ``analog`` name that fits nothing.
    """
    signals = graph.signals()
    busy = _before_synapses(graph, signals)
    used: set[str] = set()
    roles: dict[str, Role] = {}
    refused: list[Refusal] = []
    for node in graph.nodes:
        role = _role(node, graph, signals, roles)
        match = next((name for name in analog if _named(name, node)), None)
        if match is not None and role in (None, Role.SPIKE):
            used.add(match)
            role = Role.ANALOG
        if node.op == "operator.getitem" and node.args[1] != 0 and roles.get(node.args[0].name) is Role.ANALOG:
            why = "is not the first result of an operation kept analog, and only that is carried on in time"
            refused.append(Refusal(node.where, why, "wrap the operation so that what is needed comes first"))
        behind_head = any(roles.get(name) is Role.HEAD for name in node.refs)
        if (role is None or (behind_head and node.name in signals)) and node.name not in busy:
            role = Role.HEAD
        if role is None:
            why, todo = refusal(node.op)
            refused.append(Refusal(node.where, why, todo))
            role = Role.LINEAR  # so that later nodes are judged on their own
        roles[node.name] = role
    _check_names(graph, analog, used)
    return replace(graph, nodes=[replace(n, role=str(roles[n.name])) for n in graph.nodes]), refused


def _role(node: Node, graph: Graph, signals: set[str], roles: dict[str, Role]) -> Role | None:
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
    rule = LINEAR.get(node.op)
    if rule is None:
        return None
    varying = [isinstance(a, Ref) and a.name in signals for a in leaves((node.args, node.kwargs))]
    shapes = [isinstance(a, Ref) and _is_shape(a.name, graph) for a in leaves((node.args, node.kwargs))]
    tensors = [v and not s for v, s in zip(varying, shapes, strict=True)]
    if rule.signals is Signals.ALL:
        return Role.LINEAR
    if rule.signals is Signals.ONE:
        return Role.LINEAR if sum(tensors) <= 1 else None
    return Role.LINEAR if sum(tensors) <= 1 and tensors[0] else None


def _is_shape(name: str, graph: Graph) -> bool:
    node = graph.node(name)
    return node is not None and node.is_shape


def _indices_used(node: Node, graph: Graph) -> bool:
    return any(u.op == "operator.getitem" and u.args[1] != 0 for u in graph.users.get(node.name, []))


def _before_synapses(graph: Graph, signals: set[str]) -> set[str]:
    """Nodes from which synapses, a ReLU or a maximum are still to come: what is behind them all is the head."""
    busy: set[str] = set()
    for node in reversed(graph.nodes):
        rule: Any = LINEAR.get(node.op)
        active = node.op == RELU or node.op in MAXIMA or (rule is not None and rule.weighted)
        if node.name in signals and (active or node.name in busy):
            busy.update(node.refs)
    return busy


def _named(name: str, node: Node) -> bool:
    return node.name == name or node.path == name or node.path.startswith(f"{name}.")


def _check_names(graph: Graph, analog: Sequence[str], used: set[str]) -> None:
    known = sorted({n.path for n in graph.nodes if n.path} | {n.name for n in graph.nodes if not n.path})
    for name in analog:
        if name in used:
            continue
        if any(_named(name, n) for n in graph.nodes):
            raise ConversionError(f"analog={name!r} names nothing that needs it: what is there is linear or constant")
        near = difflib.get_close_matches(name, known, 3)
        raise ConversionError(
            f"analog={name!r} matches no module of the network; "
            + (f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(known[:8])}, ...")
        )


def _headline(refused: Sequence[Refusal]) -> str:
    n = len(refused)
    return f"{n} node{'s' if n > 1 else ''} of this network cannot become spiking:"
