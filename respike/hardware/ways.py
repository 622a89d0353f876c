"""How events come from neurons to the synapses behind them: through pools and what gives values another shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..convert.graph import Graph, Node
from ..convert.graph.rules import LINEAR, MAXIMA, RESHAPES, Role

MAX_POOL, OPERATIONS = "max-pool", "operations"
"""Kinds of obstacles."""
WEIGHTED = frozenset(op for op, rule in LINEAR.items() if rule.weighted)
"""Operations with synapses."""
_RESHAPES = RESHAPES | {"aten.flatten.using_ints", "aten.squeeze.dims", "aten.squeeze.dim"}


@dataclass(frozen=True)
class Pool:
    """A mean over squares behind neurons.

    Attributes:
        node: Of the graph.
        sides: Height and width of what is averaged.
        plain: Whether squares lie side by side, without gaps, padding or a rest.
    """

    node: Node
    sides: tuple[int, int]
    plain: bool


@dataclass(frozen=True)
class Way:
    """From a layer to synapses.

    Attributes:
        source: Name of the neurons in the graph, or of the input.
        pools: What lies between, from the synapses back.
        prepared: Whether something else is computed from the input before it comes there.
    """

    source: str
    pools: tuple[Pool, ...] = ()
    prepared: bool = False


@dataclass(frozen=True)
class Obstacle:
    """An operation that has no place on a chip.

    Attributes:
        node: Of the graph.
        kind: ``MAX_POOL`` or ``OPERATIONS``.
        what: What is wrong with it.
        remedy: What to do.
    """

    node: Node
    kind: str
    what: str
    remedy: str

    @classmethod
    def among_events(cls, node: Node) -> Obstacle:
        """That of an operation between neurons and synapses."""
        if node.op == "aten.mul.Tensor":
            what = "multiplies spikes by factors that no weights take up"
            return cls(
                node, OPERATIONS, what, "let nothing but pools and reshapes lie between a ReLU and the layer behind it"
            )
        return cls.of(node, "averages over other axes than height and width", "average over height and width")

    @classmethod
    def among_currents(cls, node: Node) -> Obstacle:
        """That of an operation between synapses and neurons."""
        if node.op == "aten.mul.Tensor":
            what = "multiplies currents by factors that no weights take up, as several layers read them"
            return cls(node, OPERATIONS, what, "give each ReLU a convolution or linear layer of its own")
        return cls.of(node, "averages currents", "put it behind the ReLU")

    @classmethod
    def of(cls, node: Node, mean: str, instead: str) -> Obstacle:
        """That of an operation in either place.

        Args:
            node: Of the graph.
            mean: What is wrong if it is an average.
            instead: What to do then.
        """
        name = node.op.removeprefix("aten.").split(".")[0]
        if node.op in MAXIMA:
            what = (
                "takes a maximum over sums of spikes; cores only add up, and that of single events would be too large"
            )
            return cls(node, MAX_POOL, what, "train with average pools in its place, or a stride in the convolution")
        if "avg_pool" in name or name == "mean":
            return cls(node, OPERATIONS, mean, instead)
        if name == "linear":
            what = "is applied along one of several axes"
            return cls(node, OPERATIONS, what, "write it as a 1x1 convolution, with the channels as the first axis")
        if name == "conv2d":
            return cls(
                node, OPERATIONS, "comes before another layer without neurons between", "put a ReLU between them"
            )
        what = f"is an operation ({name}) that cores do not have"
        return cls(node, OPERATIONS, what, "write it as a convolution or linear layer, or take it out")

    @classmethod
    def uneven_padding(cls, node: Node) -> Obstacle:
        """That of a convolution with an even kernel and padding="same"."""
        what = "pads by different numbers on both sides"
        return cls(node, OPERATIONS, what, "use an odd kernel, or a number for the padding")

    @classmethod
    def of_a_population(cls, function: Node) -> Obstacle:
        """That of an operation in the sum of ReLUs that ``population=`` puts in the place of a function."""
        what = "is a sum of ReLUs with weights of their own, and no layer of synapses takes them up"
        todo = "train with nn.ReLU in its place; cores have no synapses between a ReLU and the sum that it is part of"
        return cls(function, OPERATIONS, what, todo)

    @classmethod
    def without_synapses(cls, node: Node) -> Obstacle:
        """That of neurons that get spikes as they are."""
        what = "are neurons that get spikes without a convolution or linear layer"
        return cls(node, OPERATIONS, what, "put a 1x1 convolution before them, or take the ReLU out")


def ways_to(
    graph: Graph, name: str, obstacles: dict[str, Obstacle], of_input: str
) -> tuple[tuple[Way, ...], tuple[int, int, int]]:
    """The ways of events to synapses that read this value, and the map that they read, ``(channels, height, width)``.

    Args:
        graph: Normalised, with roles.
        name: Of what the synapses read.
        obstacles: By name of the node; what lies in the way is added.
        of_input: What the input is called.
    """
    pools: tuple[Pool, ...] = ()
    prepared = False
    shape = map_of(graph.shape(name))
    while True:
        node = graph.node(name)
        if node is None:
            return (Way(of_input, pools, prepared),), shape
        if node.role == Role.SPIKE:
            return (Way(node.name, pools),), shape
        pool = _pool(graph, node)
        if node.op == "aten.add.Tensor" and not node.kwargs and len(node.refs) == 2:
            found = [way for source in node.refs for way in ways_to(graph, source, obstacles, of_input)[0]]
            return tuple(replace(way, pools=(*pools, *way.pools)) for way in found), shape
        if pool is not None:
            pools = (*pools, pool)
        elif node.op in _RESHAPES:
            before = map_of(graph.shape(node.refs[0]))
            if shape[1:] == (1, 1) and math.prod(before) == shape[0]:
                shape = before
        elif node.name in graph.timed or node.op in WEIGHTED:
            obstacles.setdefault(node.name, Obstacle.among_events(node))
        else:
            prepared = True
        if not node.refs:
            return (), shape
        name = node.refs[0]


def map_of(shape: tuple[int | None, ...] | None) -> tuple[int, int, int]:
    """A value's shape without the batch as ``(channels, height, width)``."""
    sizes = [int(n) for n in (shape or ())[1:] if n is not None]
    if len(sizes) > 3:
        return math.prod(sizes[:-2]), sizes[-2], sizes[-1]
    channels, height, width = [*sizes, 1, 1, 1][:3]
    return channels, height, width


def _pool(graph: Graph, node: Node) -> Pool | None:
    """A mean over height and width, None if the node is none."""
    before, after = graph.shape(node.refs[0]) if node.refs else None, node.shape
    if before is None or after is None or len(before) != 4:
        return None
    height, width = int(before[2] or 0), int(before[3] or 0)
    if node.op == "aten.mean.dim":
        axes = sorted(axis % 4 for axis in node.args[1] or [])
        return Pool(node, (height, width), True) if axes == [2, 3] else None
    if node.op == "aten.adaptive_avg_pool2d.default":
        rows, columns = int(after[2] or 1), int(after[3] or 1)
        sides = (height // rows, width // columns)
        return Pool(node, sides, height % rows == 0 and width % columns == 0)
    if node.op == "aten.avg_pool2d.default":
        kernel, stride, padding, _, _, divisor = [*node.args[1:], *[None] * 6][:6]
        sides = _two(kernel)
        apart = not stride or _two(stride) == sides
        return Pool(node, sides, apart and not any(_two(padding or 0)) and not divisor)
    return None


def _two(value: object) -> tuple[int, int]:
    numbers = [value] if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return int(numbers[0]), int(numbers[-1])
