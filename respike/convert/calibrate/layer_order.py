"""The way of calibration through a network: where it stops, what it makes anew there, and what it keeps for later.

A layer of neurons can be calibrated once all layers before it are. What these have sent for all samples is kept;
the currents that follow from it are made anew where they are read, as they take many times the room. A current that
would be made again and again, as the stream through residual blocks without a ReLU, is kept as well: no node is run at
more than ``AGAIN`` stops, unless it takes no synapses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from ..graph import BATCH, Graph, Node, Ref
from ..graph.rules import POOLS, Role
from ..run.execution_plan import size_of
from .repair.input_patches import OPS

AGAIN = 2
"""At how many stops a node is run, at most."""
STEP = 30
"""Multiply-accumulates that take as long as one step of one neuron, about, with all that is done to its currents."""
WALKS = 2
"""How often the currents of all steps are computed at a stop, at most: to try thresholds, and for the neurons."""
MEANS = 4
"""How often those of the ANN, or their means over time, are."""


@dataclass
class Stop:
    """One node of the graph at which there is something to do.

    Attributes:
        node: Neurons, a current that is mended, or a readout.
        current: Name of the current to look at: that of the neurons, or of the node itself.
        nodes: What makes the current from what is kept, in order.
        base: Names of the values kept that these read.
        keeps: Names of the values to be kept from here on.
        making: What makes those but for the neurons and pools, in order.
        making_base: Names of the values kept that these read.
        pools: Maxima that are all that reads the neurons: they are kept in their place.
        drops: Names of the values that nobody reads behind this stop.
    """

    node: Node
    current: str
    nodes: list[Node] = field(default_factory=list)
    base: list[str] = field(default_factory=list)
    keeps: list[str] = field(default_factory=list)
    making: list[Node] = field(default_factory=list)
    making_base: list[str] = field(default_factory=list)
    pools: list[Node] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)

    @property
    def sent(self) -> list[str]:
        """Which of the values to be kept are spikes, or pooled spikes: the others are there without these neurons."""
        behind = {self.node.name, *(n.name for n in self.pools)} if self.node.role == Role.SPIKE else set()
        return [name for name in self.keeps if name in behind]


class Route:
    """All stops, in order.

    Args:
        graph: With roles.
        mended: Names of the currents at which to stop besides neurons.
        readouts: Names of the values that are looked at once they are there.
        apart: Whether samples never meet, so that how many there are is known everywhere.

    Attributes:
        batch_sizes: Names of the nodes that are the number of samples: they need no value to be made from.
    """

    def __init__(self, graph: Graph, mended: Set[str], readouts: Set[str], apart: bool) -> None:
        self.graph, self.apart = graph, apart
        self.order = {node.name: k for k, node in enumerate(graph.nodes)}
        self.batch_sizes = {node.name for node in graph.nodes if self._is_batch_size(node)}
        self.stops: list[Stop] = []
        for node in graph.nodes:
            if node.role == Role.SPIKE:
                self.stops.append(Stop(node, node.refs[0]))
            elif node.role != Role.HEAD and (node.name in mended or node.name in readouts):
                self.stops.append(Stop(node, node.name))
        self._wanted = {n.name for n in self._making((stop.current for stop in self.stops), set())[0]}
        self._choose()
        self._release()

    def _is_batch_size(self, node: Node) -> bool:
        shape = self.graph.shape(node.refs[0]) if node.op == "aten.sym_size.int" else None
        return self.apart and shape is not None and shape[node.args[1]] is BATCH

    def _making(self, names: Iterable[str], kept: Set[str]) -> tuple[list[Node], list[str]]:
        """The nodes that make these values from those that are kept, in order, and which of these they read."""
        found: dict[str, Node] = {}
        base: dict[str, None] = {}
        queue = list(names)
        while queue:
            name = queue.pop()
            node = self.graph.node(name)
            if name in self.graph.tensors or name in self.batch_sizes or name in found:
                continue
            if name in kept or node is None:
                base[name] = None
                continue
            found[name] = node
            queue += node.refs
        return sorted(found.values(), key=lambda n: self.order[n.name]), list(base)

    def _choose(self) -> None:
        """What is made and what is kept at each stop."""
        kept = set(self.graph.inputs)
        runs: Counter[str] = Counter()
        seen: set[str] = set()
        later = Counter(stop.current for stop in self.stops)
        for stop in self.stops:
            later[stop.current] -= 1
            stop.nodes, stop.base = self._making([stop.current], kept)
            runs.update(n.name for n in stop.nodes)
            seen.update(n.name for n in stop.nodes)
            keeps: list[str] = []
            if stop.node.role == Role.SPIKE:
                seen.add(stop.node.name)
                users = self.graph.users.get(stop.node.name, [])
                if users and all(n.op in POOLS and n.role == Role.MAX and n.name in self._wanted for n in users):
                    stop.pools = users
                    seen.update(n.name for n in users)
                else:
                    keeps.append(stop.node.name)
            more = []
            for name in (n.name for n in stop.nodes):
                node = self.graph.node(name)
                assert node is not None
                users = self.graph.users.get(name, [])
                read = later[name] or any(n.name in self._wanted and n.name not in seen for n in users)
                if (
                    read
                    and node.shape is not None
                    and max(runs[n.name] for n in self._making([name], kept)[0]) >= AGAIN
                ):
                    more.append(name)
            stop.making, stop.making_base = self._making(more, kept)
            stop.keeps = [*keeps, *(n.name for n in stop.pools), *more]
            kept.update(stop.keeps)

    def _release(self) -> None:
        """Keep only what is read, and as long as it is."""
        last: dict[str, int] = {}
        for k, stop in enumerate(self.stops):
            for name in (*stop.base, *stop.making_base):
                last[name] = k
        for k, stop in enumerate(self.stops):
            stop.keeps = [name for name in stop.keeps if name in last]
            stop.drops = [name for name, end in last.items() if end == k]

    def work(self, stop: Stop, steps: int) -> float:
        """About how many multiply-accumulates a stop takes for each sample, from shapes alone; without repair.

        Args:
            stop: One of these.
            steps: T.
        """
        total = 0.0
        for node in {n.name: n for n in (*stop.nodes, *stop.making)}.values():
            weight = node.args[1] if node.op in OPS else None
            tensor = self.graph.tensors.get(weight.name) if isinstance(weight, Ref) else None
            each = 1 if tensor is None else tensor.numel() // tensor.shape[0]
            times = WALKS * steps + MEANS if node.name in self.graph.timed else MEANS
            total += times * each * size_of(node.shape)
        return total + STEP * steps * size_of(self.graph.shape(stop.current))

    def most_alive(self, spikes: dict[str, float], steps: int) -> int:
        """Bytes for each sample that are kept at once, at most.

        Args:
            spikes: Bytes of a spike of each layer of neurons.
            steps: T.
        """
        timed = self.graph.timed
        frames = {name: 1 + steps * (name in self.graph.varying) for name in self.graph.inputs}
        alive = {name: 4.0 * size_of(shape) * frames[name] for name, shape in self.graph.inputs.items()}
        most = sum(alive.values())
        for stop in self.stops:
            for name in stop.keeps:
                each, total = (spikes[stop.node.name], 4.0) if name in stop.sent else (4.0, 0.0)  # and its sum
                size = size_of(self.graph.shape(name))
                alive[name] = size * (4.0 + (each * steps + total if name in timed else 4.0))
            most = max(most, sum(alive.values()))
            for name in stop.drops:
                alive.pop(name, None)
        return int(most)
