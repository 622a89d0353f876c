"""Which parts of a graph are a smooth function of each value of one signal by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..graph import RELU, Graph, Node, Ref, Rewriter, function, leaves, map_leaves
from ..graph.rules import ACTIVATIONS, Role, in_time
from ..passes.constants import constant
from ..passes.node_roles import before_synapses, is_weighted, named, role_of

_OTHERS = frozenset("square pow exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal sin cos erf".split())
_LAYERS = ACTIVATIONS | {"erf"}
"""What is a layer behind synapses even if nothing before it varies in time; erf is what GELU is spelled with."""
_STRAIGHT = frozenset(
    "aten.add.Tensor aten.add.Scalar aten.sub.Tensor aten.sub.Scalar aten.rsub.Tensor aten.rsub.Scalar "
    "aten.neg.default aten.mul.Tensor aten.mul.Scalar aten.div.Tensor aten.div.Scalar".split()
)
"""Arithmetic: linear, unless two functions of the signal are multiplied, or one is divided by another."""


@dataclass(frozen=True)
class Curve:
    """A function of each value of a signal by itself.

    Attributes:
        source: Name of the signal.
        top: The node that gives the function's value.
        nodes: It and those between, in order.
    """

    source: str
    top: Node
    nodes: tuple[Node, ...]

    def __call__(self, x: Tensor, graph: Graph) -> Tensor:
        """Its values at ``x``, of any shape, in the type of ``x``.

        Args:
            x: Values of the signal.
            graph: Which holds the curve, and its constants.
        """
        known = {self.source: x}

        def value(arg: object) -> object:
            if not isinstance(arg, Ref):
                return arg
            return known[arg.name] if arg.name in known else constant(Rewriter(graph), arg)

        for node in self.nodes:
            known[node.name] = function(node.op)(*map_leaves(value, list(node.args)), **map_leaves(value, node.kwargs))
        return known[self.top.name].to(x)


def curves(graph: Graph, analog: Sequence[str] = ()) -> list[Curve]:
    """The smooth functions of one signal between layers of synapses, each as large as can be, in order.

    What is spelled in parts, such as x·sigmoid(x), is one function, with the ReLUs and factors in it. Left out are
    functions of the input that are no activations, those behind which no layer comes, and those that are parts of
    functions of several values, such as the squares in a norm.

    Args:
        graph: In normal form.
        analog: As for ``set_roles``: what is named stays as it is.
    """
    found, signals = _Found(graph), graph.signals()
    made = {name: found.curve(name) for name in found.tops()}
    inside = {node.name for curve in made.values() for node in curve.nodes}
    busy, behind, timed = before_synapses(graph, signals), set[str](), set(graph.varying)
    chosen = []
    for node in graph.nodes:
        curve = made.get(node.name)
        if curve is not None and node.name in busy and not any(named(w, n) for w in analog for n in curve.nodes):
            layer = _is_layer(curve) and curve.source in behind
            if layer or (curve.source in timed and _is_read(node.name, graph, signals)):
                chosen.append(curve)
                timed.add(node.name)
        if node.name in signals and (is_weighted(node) or not behind.isdisjoint(node.refs)):
            behind.add(node.name)
        alone = node.op == RELU and node.name not in inside
        if node.name in signals and (alone or not timed.isdisjoint(node.refs)):
            timed.add(node.name)
    return chosen


def _is_layer(curve: Curve) -> bool:
    names = {node.op.split(".")[1] for node in curve.nodes}
    spelled = any(node.op == RELU for node in curve.nodes) and not names.isdisjoint(("mul", "div"))
    return spelled or not names.isdisjoint(_LAYERS)


def _is_read(name: str, graph: Graph, signals: set[str]) -> bool:
    """Whether neurons, synapses or products read a value, maybe moved, joined or scaled."""
    queue, seen = [name], {name}
    while queue:
        for reader in graph.users.get(queue.pop(), []):
            role = role_of(reader, graph, signals)
            if reader.op == RELU or is_weighted(reader) or (role is None and in_time(reader.op) is Role.PRODUCT):
                return True
            if role in (Role.LINEAR, Role.MAX) and reader.name not in seen:
                seen.add(reader.name)
                queue.append(reader.name)
    return False


class _Found:
    """By name: of which signal a value is a function, and whether the function is smooth."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.rewriter = graph, Rewriter(graph)
        self.source: dict[str, str] = {}
        self.smooth: set[str] = set()
        self.bends: set[str] = set()  # nodes that are not linear in the signal
        for node in graph.nodes:
            self._judge(node)

    def _judge(self, node: Node) -> None:
        name = node.op.split(".")[1]
        known = name in ACTIVATIONS | _OTHERS or node.op in _STRAIGHT or node.op == RELU
        if not known or node.shape is None or node.is_shape or node.whole:
            return
        signals = self._signals(node)
        if not signals or any(self.graph.shape(n) != node.shape for n in signals):
            return
        sources = {self.source.get(n, n) for n in signals}
        if len(sources) != 1:
            return
        self.source[node.name] = sources.pop()
        product = name == "mul" and len(signals) == 2
        quotient = name == "div" and any(isinstance(a, Ref) and a.name in signals for a in node.args[1:])
        bends = name in ACTIVATIONS | _OTHERS or product or quotient
        if bends or node.op == RELU:
            self.bends.add(node.name)
        if bends or any(n in self.smooth and n != self.source[node.name] for n in signals):
            self.smooth.add(node.name)

    def _signals(self, node: Node) -> list[str] | None:
        """Names of what it reads that are no constants, as often as it reads them; None if it reads anything else."""
        found = []
        for arg in leaves((node.args, node.kwargs)):
            if not isinstance(arg, Ref):
                continue
            value = constant(self.rewriter, arg)
            if value is None and arg.name not in self.graph.tensors:
                found.append(arg.name)
            elif not isinstance(value, float):
                return None
        return found

    def _absorbed(self, name: str) -> bool:
        """Whether all that read the value are parts of a larger function of the same signal."""
        users = self.graph.users.get(name, [])
        if not users or name in self.graph.output_names():
            return False
        same = [u for u in users if self.source.get(u.name) == self.source[name]]
        return len(same) == len(users) and all(u.name in self.bends or self._absorbed(u.name) for u in users)

    def tops(self) -> list[str]:
        return [
            node.name
            for node in self.graph.nodes
            if node.name in self.smooth and node.name in self.bends and not self._absorbed(node.name)
        ]

    def curve(self, name: str) -> Curve:
        source, inside, queue = self.source[name], set[str](), [name]
        while queue:
            node = self.graph.node(queue.pop())
            assert node is not None
            inside.add(node.name)
            queue += [n for n in node.refs if n != source and n not in self.graph.tensors and n not in inside]
        nodes = tuple(n for n in self.graph.nodes if n.name in inside)
        return Curve(source, nodes[-1], nodes)
