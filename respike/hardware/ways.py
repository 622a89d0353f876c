"""How events come from neurons to the synapses behind them: through pools and what gives values another shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..convert.graph import Graph, Node
from ..convert.graph.rules import MAXIMA, RESHAPES, Role

MAX_POOL, OPERATIONS = "max-pool", "operations"
"""Kinds of obstacles."""
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
    """

    source: str
    pools: tuple[Pool, ...] = ()


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
    def of(cls, node: Node, before_neurons: bool = False) -> Obstacle:
        """That of an operation among events, or between synapses and neurons."""
        if node.op in MAXIMA:
            return cls(
                node,
                MAX_POOL,
                "takes a maximum over sums of spikes, and cores only add up; the maximum of single events would be "
                "too large",
                "train with average pools in its place, or with a stride in the convolution",
            )
        name = node.op.removeprefix("aten.").split(".")[0]
        if name == "mul":
            what = "multiplies spikes by factors that no weights take up"
            remedy = "give it to the weights behind it: let nothing but pools and reshapes lie between ReLU and layer"
        elif "avg_pool" in name or name == "mean":
            what = "averages currents" if before_neurons else "averages over other axes than height and width"
            remedy = "put it behind the ReLU, over height and width" if before_neurons else "average over height, width"
        else:
            what = f"is an operation ({name}) that cores do not have"
            remedy = "write it as a convolution or linear layer, or take it out"
        return cls(node, OPERATIONS, what, remedy)

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
    shape = _map(graph.shape(name))
    while True:
        node = graph.node(name)
        if node is None:
            return (Way(of_input, pools),), shape
        if node.role == Role.SPIKE:
            return (Way(node.name, pools),), shape
        pool = _pool(graph, node)
        if node.op == "aten.add.Tensor" and not node.kwargs and len(node.refs) == 2:
            found = [way for source in node.refs for way in ways_to(graph, source, obstacles, of_input)[0]]
            return tuple(replace(way, pools=(*pools, *way.pools)) for way in found), shape
        if pool is not None:
            pools = (*pools, pool)
        elif node.op in _RESHAPES:
            before = _map(graph.shape(node.refs[0]))
            if shape[1:] == (1, 1) and math.prod(before) == shape[0]:
                shape = before
        elif node.name in graph.timed:
            obstacles.setdefault(node.name, Obstacle.of(node))
        if not node.refs:
            return (), shape
        name = node.refs[0]


def _map(shape: tuple[int | None, ...] | None) -> tuple[int, int, int]:
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
