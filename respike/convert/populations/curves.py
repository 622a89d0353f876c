"""Which parts of a graph are a smooth function of each value of one signal by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..graph import RELU, Graph, Node, Ref, Rewriter, function, leaves, map_leaves
from ..graph.rules import LINEAR, MAXIMA
from ..passes.constants import constant

_SMOOTH = (
    "gelu silu hardswish hardsigmoid sigmoid tanh elu selu celu softplus mish softsign log_sigmoid square pow exp exp2 "
    "expm1 log log1p log2 log10 sqrt rsqrt reciprocal sin cos erf"
).split()
_STRAIGHT = frozenset(
    "aten.add.Tensor aten.add.Scalar aten.sub.Tensor aten.sub.Scalar aten.rsub.Tensor aten.rsub.Scalar aten.neg.default "
    "aten.mul.Tensor aten.mul.Scalar aten.div.Tensor aten.div.Scalar".split()
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
    those of which nothing but a function without synapses comes before, which are part of the input, and those behind
    which no layer comes, which are applied to the network's output.

    Args:
        graph: In normal form.
        analog: As for ``set_roles``: what is named stays as it is.
    """
    found = _Found(graph)
    busy, behind = _before_layers(graph), _behind_synapses(graph)
    made = []
    for name in found.tops():
        curve = found.curve(name)
        kept = any(_named(word, node) for word in analog for node in curve.nodes)
        if not kept and name in busy and curve.source in behind:
            made.append(curve)
    return made


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
        known = name in _SMOOTH or node.op in _STRAIGHT or node.op == RELU
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
        bends = name in _SMOOTH or product or quotient
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


def _before_layers(graph: Graph) -> set[str]:
    """Names of the values that synapses, ReLUs or maxima come behind."""
    busy: set[str] = set()
    signals = graph.signals()
    for node in reversed(graph.nodes):
        active = node.op == RELU or node.op in MAXIMA or _has_synapses(node)
        if node.name in signals and (active or node.name in busy):
            busy.update(node.refs)
    return busy


def _behind_synapses(graph: Graph) -> set[str]:
    """Names of the values that depend on the input by way of synapses."""
    behind: set[str] = set()
    signals = graph.signals()
    for node in graph.nodes:
        if node.name in signals and (_has_synapses(node) or not behind.isdisjoint(node.refs)):
            behind.add(node.name)
    return behind


def _has_synapses(node: Node) -> bool:
    rule = LINEAR.get(node.op)
    return rule is not None and rule.weighted


def _named(name: str, node: Node) -> bool:
    return node.name == name or node.path == name or node.path.startswith(f"{name}.")
