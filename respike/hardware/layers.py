"""A network as a chip sees it: layers of neurons, the synapses before each, and the ways of events to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ..convert.graph import Graph, Node
from ..convert.graph.rules import MOVES, RESHAPES, Role
from .functions import function_of
from .ways import WEIGHTED, Obstacle, Way, map_of, ways_to

INPUT = "input"
"""Stands for the network's input where the name of a layer is asked for."""


@dataclass(frozen=True)
class Synapses:
    """A convolution; a linear layer is one with a kernel as large as the map that it reads.

    Attributes:
        node: Of the graph.
        weight: Its weights.
        bias: Its constant current; None without one.
        ways: By which events come.
        shape: Of the map that it reads, ``(channels, height, width)``.
        output: Of the map of the neurons.
        kernel: Height and width.
        stride: Of each axis.
        padding: Of each axis.
        dilation: Of each axis.
        groups: 1 unless channels are apart.
    """

    node: Node
    weight: Tensor
    bias: Tensor | None
    ways: tuple[Way, ...]
    shape: tuple[int, int, int]
    output: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def pool(self) -> int:
        """By what a weight is divided as the chip adds up where the network averages."""
        return math.prod(side for way in self.ways[:1] for pool in way.pools for side in pool.sides)


@dataclass(frozen=True)
class Layer:
    """Neurons and the synapses before them.

    Attributes:
        name: Of the neurons in the graph; of the synapses if the network reads them without neurons.
        where: Its place in the user's model.
        synapses: One, or several whose currents meet.
        factors: Where spikes are added to the current, each with a weight.
        neurons: The neurons' node; None for a readout.
    """

    name: str
    where: str
    synapses: tuple[Synapses, ...]
    factors: tuple[Node, ...]
    neurons: Node | None

    @property
    def sources(self) -> list[str]:
        """Names of the layers whose events it reads."""
        return list(dict.fromkeys(way.source for synapses in self.synapses for way in synapses.ways))

    @property
    def main(self) -> Synapses:
        """The first of its synapses."""
        return self.synapses[0]


@dataclass(frozen=True)
class Layout:
    """A network as a chip sees it.

    Attributes:
        layers: In order; each needs a core.
        encoders: Neurons that get the input itself, which send events to the chip and need no core.
        obstacles: Operations that have no place on a chip.
        spiking_output: Whether neurons give the output.
    """

    layers: tuple[Layer, ...]
    encoders: tuple[Node, ...]
    obstacles: tuple[Obstacle, ...]
    spiking_output: bool

    def destinations(self) -> dict[str, list[Layer]]:
        """The layers that read each layer, or the input, by name."""
        return {name: [layer for layer in self.layers if name in layer.sources] for name in self._sources()}

    def _sources(self) -> list[str]:
        return list(dict.fromkeys([INPUT, *(n.name for n in self.encoders), *(layer.name for layer in self.layers)]))


def layout_of(graph: Graph) -> Layout:
    """The layers of a graph with roles, normalised, so that a spike carries 1 and its weight is in the synapses."""
    obstacles: dict[str, Obstacle] = {}
    layers, encoders = [], []
    for node in graph.nodes:
        if node.role == Role.SPIKE:
            layer = _layer(graph, node, node.args[0].name, obstacles)
            if layer is not None:
                layers.append(layer)
            elif _prepares(graph, graph.node(node.args[0].name)):
                encoders.append(node)
    spiking = True
    for source in dict.fromkeys(node for name in graph.output_names() for node in _readouts(graph, name)):
        if graph.nodes[source].role != Role.SPIKE:
            spiking = False
            layer = _layer(graph, None, graph.nodes[source].name, obstacles)
            layers += [] if layer is None else [layer]
    told = tuple(_told(graph, obstacle) for obstacle in obstacles.values())
    return Layout(tuple(layers), tuple(encoders), told, spiking)


def _told(graph: Graph, obstacle: Obstacle) -> Obstacle:
    """An obstacle; what lies within a sum of ReLUs is told of the function that the sum stands for."""
    function = function_of(graph, obstacle.node)
    return obstacle if function is None else Obstacle.of_a_population(function)


def _readouts(graph: Graph, name: str) -> list[int]:
    """What gives an output, before what the host computes: a head, factors of spikes, another shape; by place."""
    node = graph.node(name)
    if node is None:
        return []
    if node.role == Role.HEAD:
        return [place for source in node.refs for place in _readouts(graph, source)]
    spikes = _spikes_behind(graph, node)
    return [graph.nodes.index(node if spikes is None else spikes)] if node.name in graph.timed else []


def _spikes_behind(graph: Graph, node: Node | None) -> Node | None:
    """The neurons whose spikes a value is, in another shape and with factors; None if it is something else."""
    while node is not None and node.op in MOVES | RESHAPES | {"aten.mul.Tensor"}:
        node = graph.node(node.refs[0])
    return node if node is not None and node.role == Role.SPIKE else None


def _layer(graph: Graph, neurons: Node | None, current: str, obstacles: dict[str, Obstacle]) -> Layer | None:
    """The layer that adds up a current; None if it is the input alone, or an obstacle."""
    found: list[Synapses] = []
    factors: list[Node] = []
    queue, wrong = [current], False
    while queue:
        node = graph.node(queue.pop(0))
        if node is None or _prepares(graph, node):
            continue
        made = _synapses(graph, node, obstacles)
        if made is not None:
            found.append(made)
        elif node.op == "aten.add.Tensor" and not node.kwargs and len(node.args) == 2:
            queue.extend(node.refs)
        elif node.op == "aten.mul.Tensor" and _spikes_behind(graph, node) is not None:
            factors.append(node)
        else:
            source = graph.node(node.refs[0]) if node.refs else None
            scales = node.op == "aten.mul.Tensor"
            if not scales or (source is not None and source.op in WEIGHTED):
                wrong = True
                obstacles.setdefault(node.name, Obstacle.among_currents(node))
            queue.extend(node.refs if scales else [])
    if not found:
        if neurons is not None and not wrong and not _prepares(graph, graph.node(current)):
            obstacles.setdefault(neurons.name, Obstacle.without_synapses(neurons))
        return None
    where = neurons.where if neurons is not None and len(found) > 1 else found[0].node.where
    name = neurons.name if neurons is not None else found[0].node.name
    return Layer(name, where, tuple(found), tuple(factors), neurons)


def _prepares(graph: Graph, node: Node | None) -> bool:
    """Whether a value is the input, or made from it without synapses: what the host computes."""
    if node is None:
        return True
    if node.name in graph.timed or node.op in WEIGHTED:
        return False
    return all(_prepares(graph, graph.node(name)) for name in node.refs)


def _synapses(graph: Graph, node: Node, obstacles: dict[str, Obstacle]) -> Synapses | None:
    rank = {"aten.linear.default": 2, "aten.conv2d.default": 4, "aten.conv2d.padding": 4}.get(node.op)
    if rank is None or rank != len(node.shape or ()):
        return None
    args = [*node.args, *[None] * 7]
    if args[1].name not in graph.tensors:
        return None
    weight = graph.tensors[args[1].name]
    bias = None if args[2] is None else graph.tensors[args[2].name]
    ways, shape = ways_to(graph, node.args[0].name, obstacles, INPUT)
    output = map_of(node.shape)
    if node.op == "aten.linear.default":
        shape = shape if math.prod(shape) == weight.shape[1] else (weight.shape[1], 1, 1)
        return Synapses(node, weight, bias, ways, shape, output, shape[1:])
    kernel = (weight.shape[2], weight.shape[3])
    stride, dilation = _pair(args[3], 1), _pair(args[5], 1)
    padding = (0, 0) if args[4] == "valid" else _pair(args[4], 0)
    if args[4] == "same":
        both = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(n % 2 for n in both):
            obstacles.setdefault(node.name, Obstacle.uneven_padding(node))
        padding = (both[0] // 2, both[1] // 2)
    groups = 1 if args[6] is None else args[6]
    return Synapses(node, weight, bias, ways, shape, output, kernel, stride, padding, dilation, groups)


def _pair(value: object, otherwise: int) -> tuple[int, int]:
    if isinstance(value, (list, tuple)):
        return int(value[0]), int(value[-1])
    return (otherwise, otherwise) if not isinstance(value, int) else (value, value)
