"""Give every node its role in time, or refuse the network with all reasons at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import ConversionError, Refusal
from ..graph import RELU, Graph, Node, Ref
from ..graph.rules import BATCH_STATISTICS, OF_MEANS, Role, in_time, refusal, short
from .no_relu import without_relu
from .node_roles import before_synapses, is_weighted, linear_in_time, named, role_of


def set_roles(graph: Graph, analog: Sequence[str] = ()) -> Graph:
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
    if any(node.op == RELU and node.role == Role.ANALOG for node in judged.nodes):
        return ConversionError("every ReLU was kept analog, so no neuron is left; keep fewer modules analog")
    return without_relu(judged)


def verdicts(graph: Graph, analog: Sequence[str] = ()) -> tuple[Graph, list[Refusal]]:
    """The graph with a role on every node, and the nodes that have no place in time.

    A function of the input alone is static, or kept analog if the input moves. A ReLU is neurons, and the first thing
    that varies in time; but what guards the argument of a function of the input, as the clamp in
    log(clamp(x, min=1e-5)), belongs to that function.

    Raises:
        ConversionError: an ``analog`` name that fits nothing.
    """
    judge = _judged(graph, analog)
    _check_names(graph, analog, judge.used)
    roles = judge.roles
    return replace(graph, nodes=[replace(n, role=str(roles[n.name])) for n in graph.nodes]), judge.refused


def guards(graph: Graph, analog: Sequence[str] = ()) -> set[str]:
    """Names of the ReLUs that are part of a function of the input."""
    return _judged(graph, analog).known


def _judged(graph: Graph, analog: Sequence[str]) -> _Judge:
    found: set[str] = set()
    while True:
        judge = _Judge(graph, analog, found)
        judge.run()
        if judge.guards <= found:
            return judge
        found = found | judge.guards


class _Judge:
    """Goes through a graph once, in order.

    Args:
        graph: In normal form.
        analog: As for ``judge``.
        guards: Names of ReLUs that are part of a function of the input.

    Attributes:
        roles: By node name.
        timed: Names of the values that vary in time.
        spiked: Those of them that come out of neurons.
        used: The names of ``analog`` that were needed.
        refused: Nodes without a place in time.
        guards: ReLUs that would have to be part of a function of the input, and can be.
    """

    def __init__(self, graph: Graph, analog: Sequence[str], guards: set[str]) -> None:
        self.graph, self.analog, self.known = graph, analog, guards
        self.signals = graph.signals()
        self.busy = before_synapses(graph, self.signals)
        self.roles: dict[str, Role] = {}
        self.timed, self.spiked = set(graph.varying), set[str]()
        self.used: set[str] = set()
        self.refused: list[Refusal] = []
        self.guards: set[str] = set()

    def run(self) -> None:
        for node in self.graph.nodes:
            role = self._judged(node)
            if role in (None, Role.FUNCTION, Role.PRODUCT):
                self.guards |= self._guarding(node)
            if role is None:
                why, todo = refusal(node.op)
                self.refused.append(Refusal(node.where, why, todo))
                role = Role.LINEAR  # so that later nodes are judged on their own
            self.roles[node.name] = role
            reads = node.name in self.signals and not self.timed.isdisjoint(node.refs)
            if role is Role.SPIKE or reads:
                self.timed.add(node.name)
            if role is Role.SPIKE or (reads and not self.spiked.isdisjoint(node.refs)):
                self.spiked.add(node.name)

    def _judged(self, node: Node) -> Role | None:
        role = role_of(node, self.graph, self.signals)
        match = next((name for name in self.analog if named(name, node)), None)
        if match is not None and role in (None, Role.SPIKE):
            self.used.add(match)
            role = Role.ANALOG
        elif node.name in self.known:
            return Role.STATIC if self.timed.isdisjoint(node.refs) else Role.ANALOG
        self._check_result(node)
        behind_head = any(self.roles.get(name) is Role.HEAD for name in node.refs)
        if (role is None or (behind_head and node.name in self.signals)) and node.name not in self.busy:
            return Role.HEAD
        if role is None and self.timed.isdisjoint(node.refs) and short(node.op) not in BATCH_STATISTICS:
            return Role.STATIC
        if role is None and linear_in_time(node, self.timed):
            return Role.LINEAR
        if role is None and self.spiked.isdisjoint(node.refs) and short(node.op) not in BATCH_STATISTICS:
            return Role.ANALOG
        return in_time(node.op) if role is None else role

    def _check_result(self, node: Node) -> None:
        if node.op != "operator.getitem" or node.args[1] == 0 or node.args[0].name not in self.timed:
            return
        if self.roles[node.args[0].name] in OF_MEANS:
            why = "is not the first result of a function of means, and only that is carried on in time"
            self.refused.append(Refusal(node.where, why, "wrap the operation so that what is needed comes first"))

    def _guarding(self, node: Node) -> set[str]:
        """The ReLUs that stand between functions of the input and this node, for each of its arguments by itself.

        A mask that is clamped and divides a signal is a function of the input, though the signal is none. A lower
        bound above zero is no layer's, wherever it stands, if the node reads no signal beside it: in
        log(clamp(mel @ power, min=1e-5)) it keeps the logarithm finite, and beside a signal it may be a gate's.
        """
        timed = [name for name in dict.fromkeys(node.refs) if name in self.timed]
        found = [self._guards(name, bounds=True) for name in timed]
        if not all(found):
            found = [self._guards(name, bounds=False) for name in timed]
        return set().union(*found)

    def _guards(self, name: str, bounds: bool) -> set[str]:
        """The ReLUs between a function of the input and this value; none if anything else in it varies in time.

        No synapses may be between the ReLU and the value, nor between the input, or the last function of it, and the
        ReLU: otherwise it is a layer of the network.

        Args:
            name: Of the value.
            bounds: Whether a lower bound above zero may stand behind synapses.
        """
        found: set[str] = set()
        queue = [name]
        while queue:
            source = self.graph.node(queue.pop())
            if source is None:  # an input that moves
                continue
            if self.roles[source.name] is Role.SPIKE:
                if source.kwargs.get("two_sided"):  # a layer that was put there as one
                    return set()
                if self._behind_synapses(source) and not (bounds and _is_lower_bound(source, self.graph)):
                    return set()
                found.add(source.name)
            elif is_weighted(source):
                return set()
            queue.extend(name for name in source.refs if name in self.timed)
        return found

    def _behind_synapses(self, node: Node) -> bool:
        queue = list(node.refs)
        while queue:
            source = self.graph.node(queue.pop())
            if source is None or source.name not in self.signals or self.roles[source.name] is Role.STATIC:
                continue
            if is_weighted(source):
                return True
            queue.extend(source.refs)
        return False


def _is_lower_bound(relu: Node, graph: Graph) -> bool:
    """Whether a ReLU is max(x, low) with a low above zero, which is spelled relu(x - low) + low."""
    readers = graph.users.get(relu.name, [])
    return bool(readers) and all(
        reader.op == "aten.add.Tensor" and reader.args[0] == Ref(relu.name) and _is_positive(reader.args[1], graph)
        for reader in readers
    )


def _is_positive(value: Any, graph: Graph) -> bool:
    if isinstance(value, Ref):
        return value.name in graph.tensors and bool((graph.tensors[value.name] > 0).all())
    return isinstance(value, (int, float)) and value > 0


def _check_names(graph: Graph, analog: Sequence[str], used: set[str]) -> None:
    known = sorted({n.path for n in graph.nodes if n.path} | {n.name for n in graph.nodes if not n.path})
    for name in analog:
        if name in used:
            continue
        if any(named(name, n) for n in graph.nodes):
            raise ConversionError(
                f"analog={name!r} has no effect: what is there is linear, constant or computed from the input alone"
            )
        near = difflib.get_close_matches(name, known, 3)
        raise ConversionError(
            f"analog={name!r} matches no module of the network; "
            + (f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(known[:8])}, ...")
        )


def _headline(refused: Sequence[Refusal]) -> str:
    n = len(refused)
    return f"{n} node{'s' if n > 1 else ''} of this network cannot become spiking:"
