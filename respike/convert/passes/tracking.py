"""Neurons behind functions and products, so that synapses and products read spikes.

A function of a mean over time is carried on in time by the increments of t·f(mean), which are numbers. Neurons of
either sign behind it follow these: with the function they are one tracking neuron, whose net count is T·f(mean)/θ,
rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..graph import RELU, Graph, Node, Ref, Rewriter, map_leaves, rewrite
from ..graph.rules import ACTIVATIONS, BATCH_STATISTICS, MOVES, NORMALISATIONS, Role, in_time, short
from .node_roles import before_synapses, is_weighted, linear_in_time, named, role_of
from .prune import prune
from .roles import guards

SUFFIX = "_spikes"

_PARTS = frozenset(
    f"aten.{name}" for name in ("split.Tensor", "split_with_sizes.default", "chunk.default", "unbind.int")
)
"""What takes a value apart; ``getitem`` picks one of the parts."""
_SCALES = frozenset(("aten.mul.Tensor", "aten.mul.Scalar", "aten.div.Tensor", "aten.div.Scalar"))


def track(graph: Graph, analog: Sequence[str] = ()) -> Graph:
    """Put neurons behind smooth activations and wherever numbers would reach synapses or products.

    A smooth activation, or a normalisation, behind synapses is a layer of the network as a ReLU is, whether anything
    before it varies in time or not.

    Args:
        graph: In normal form.
        analog: Names of modules or nodes that get no neurons.

    Returns:
        The graph, which computes the same, with ``RELU`` nodes that are ``two_sided``.
    """
    return _Tracker(graph, analog).run()


class _Tracker:
    """Goes through a graph once, in order.

    Attributes:
        timed: Names of the values that vary in time.
        behind: Those of signals behind synapses.
        spikes: Those that are made of spikes alone: moved, joined and pooled, but not mixed by synapses.
    """

    def __init__(self, graph: Graph, analog: Sequence[str]) -> None:
        self.graph, self.analog = graph, analog
        self.signals = graph.signals()
        self.busy = before_synapses(graph, self.signals)
        self.timed, self.behind, self.spikes = set(graph.varying), set[str](), set[str]()
        self.guards = guards(graph, analog)
        self.made: dict[str, Ref] = {}

    def run(self) -> Graph:
        return prune(rewrite(self.graph, self._step))  # what is moved as spikes need not be moved as it was

    def _step(self, node: Node, rewriter: Rewriter) -> Any:
        reads = [name for name in node.refs if name in self.timed]
        role = self._role(node)
        if role is Role.PRODUCT:
            node = self._of_spikes(node, rewriter)
        if node.name in self.signals and any(name in self.behind or name in self.timed for name in node.refs):
            self.behind.add(node.name)
        if node.name in self.signals and is_weighted(node):
            self.behind.add(node.name)
        if reads and node.name in self.signals:
            self.timed.add(node.name)
        if node.op == RELU and node.name not in self.guards:
            self.timed.add(node.name)
            self.spikes.add(node.name)
        elif reads and self.spikes.issuperset(reads) and self._moves(node, role):
            self.spikes.add(node.name)
        found = rewriter.keep(node)
        return self._neurons(node, node, rewriter) if self._fires(node, role) else found

    @staticmethod
    def _moves(node: Node, role: Role | None) -> bool:
        return role in (Role.LINEAR, Role.MAX) and not is_weighted(node)

    def _role(self, node: Node) -> Role | None:
        """What the node is in time; None if it is kept analog, or nothing of the kind."""
        if any(named(name, node) for name in self.analog):
            return None
        found = role_of(node, self.graph, self.signals)
        if found is not None or node.name not in self.busy or short(node.op) in BATCH_STATISTICS:
            return found
        if self.timed.isdisjoint(node.refs):
            layer = short(node.op) in ACTIVATIONS | NORMALISATIONS and not self.behind.isdisjoint(node.refs)
            return Role.FUNCTION if layer else None
        return Role.LINEAR if linear_in_time(node, self.timed) else in_time(node.op)

    def _fires(self, node: Node, role: Role | None) -> bool:
        """Whether neurons are needed behind it: an activation, or what synapses or products read."""
        if role is Role.FUNCTION and short(node.op) in ACTIVATIONS:
            return True
        return role in (Role.FUNCTION, Role.PRODUCT) and self._is_read(node.name)

    def _is_read(self, name: str) -> bool:
        """Whether synapses or a product read the value, maybe moved, joined or scaled."""
        queue, seen = [name], {name}
        while queue:
            for reader in self.graph.users.get(queue.pop(), []):
                role = role_of(reader, self.graph, self.signals)
                if reader.name not in self.busy and not is_weighted(reader):
                    continue
                if is_weighted(reader) or (role is None and in_time(reader.op) is Role.PRODUCT):
                    return True
                if role in (Role.LINEAR, Role.MAX) and reader.op != RELU and reader.name not in seen:
                    seen.add(reader.name)
                    queue.append(reader.name)
        return False

    def _of_spikes(self, node: Node, rewriter: Rewriter) -> Node:
        """A product that reads spikes where it reads what varies in time."""

        def spiking(arg: Any) -> Any:
            if not isinstance(arg, Ref) or arg.name not in self.timed or arg.name in self.spikes:
                return arg
            if rewriter.find(arg) is None:
                return arg
            return self._moved(arg, rewriter) or self._neurons(
                replace(node, name=arg.name, shape=rewriter.shape(arg.name)), node, rewriter
            )

        return replace(node, args=map_leaves(spiking, node.args))

    def _moved(self, arg: Ref, rewriter: Rewriter) -> Ref | None:
        """Spikes of a layer that are moved, or scaled by a number, as its output was; None if the value is none such.

        Neurons behind the layer itself know its channels, which are taken apart on the way to the heads of attention.
        """
        if arg.name in self.made:
            return self.made[arg.name]
        node = rewriter.find(arg)
        if node is None or node.name in self.spikes:
            return None
        if is_weighted(node):
            return self._neurons(node, node, rewriter)
        taken = node.op in MOVES or node.op in _PARTS or node.op == "operator.getitem"
        taken |= node.op in _SCALES and self._is_number(node.args[1])
        found = self._moved(node.args[0], rewriter) if taken and isinstance(node.args[0], Ref) else None
        if found is None:
            return None
        name = rewriter.fresh(f"{node.name}{SUFFIX}")
        moved = rewriter.add(node, node.op, found, *node.args[1:], name=name, **node.kwargs)
        self.made[node.name] = moved
        for names in (self.timed, self.behind, self.spikes, self.signals):
            names.add(name)
        return moved

    def _is_number(self, arg: Any) -> bool:
        tensor = self.graph.tensors.get(arg.name) if isinstance(arg, Ref) else None
        return isinstance(arg, (int, float)) or (tensor is not None and tensor.numel() == 1)

    def _neurons(self, source: Node, like: Node, rewriter: Rewriter) -> Ref:
        """Neurons that follow a value; one layer of them, however many read it."""
        if source.name not in self.made:
            name = rewriter.fresh(f"{source.name}{SUFFIX}")
            made = replace(like, shape=source.shape)
            self.made[source.name] = rewriter.add(made, RELU, Ref(source.name), name=name, two_sided=True)
            for names in (self.timed, self.behind, self.spikes, self.signals):
                names.add(name)
        return self.made[source.name]
