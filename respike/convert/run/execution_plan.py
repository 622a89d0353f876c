"""What to compute when: once or in every block of timesteps, how long to keep it, how many steps fit."""

from __future__ import annotations

import math
from functools import cached_property

from ..graph import Graph, Node
from ..graph.rules import POOLS, REMEMBERS, Role
from ..passes import readouts
from ..sample_axis import MIXED, Along, apart, places
from .event_synapses import sparse


class Plan:
    """The order of work for a graph with roles.

    Attributes:
        static: Nodes that are the same in every step, computed once for each batch.
        body: Nodes that vary in time, up to the last neurons and maxima.
        late: The linear ones behind those, and the head: applied to the estimate of what they read.
        timed: Both, in the order in which they run.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        timed = set(graph.varying)
        for node in graph.nodes:
            if node.role == Role.SPIKE or not timed.isdisjoint(node.refs):
                timed.add(node.name)
        self.static = [n for n in graph.nodes if n.name not in timed]
        varying = [n for n in graph.nodes if n.name in timed]
        leads: set[str] = set()  # to neurons or maxima, or is one
        for node in reversed(varying):
            if node.role == Role.SPIKE or node.role in REMEMBERS:
                leads.add(node.name)
            if node.name in leads:
                leads.update(node.refs)
        self.body = [n for n in varying if n.name in leads]
        self.late = [n for n in varying if n.name not in leads]
        self.timed = [*self.body, *self.late]

    @cached_property
    def late_names(self) -> frozenset[str]:
        """Names of the late nodes."""
        return frozenset(n.name for n in self.late)

    @cached_property
    def estimated(self) -> list[str]:
        """The values whose estimates the late nodes and the outputs read."""
        body = {n.name for n in self.body} | self.graph.varying
        read = [name for n in self.late for name in n.refs] + self.graph.output_names()
        return [name for name in dict.fromkeys(read) if name in body]

    @cached_property
    def paired(self) -> frozenset[str]:
        """Plain sums of two values of one shape, varying in time, that neurons alone read."""
        body = {n.name for n in self.body}
        found = set()
        for node in self.body:
            users = self.graph.users.get(node.name, [])
            alone = len(users) == 1 and users[0].role == Role.SPIKE and node.name not in self.graph.output_names()
            if node.op != "aten.add.Tensor" or not alone or node.kwargs or len(node.refs) != 2:
                continue
            if len(node.args) == 2 and all(n in body and self.graph.shape(n) == node.shape for n in node.refs):
                found.add(node.name)
        return frozenset(found)

    @cached_property
    def driving(self) -> frozenset[str]:
        """Convolutions that neurons alone read, as they are or in a sum that is ``paired``; not those before a pool."""
        found = set()
        for node in self.body:
            reader = self._only_reader(node.name)
            if reader is not None and reader.name in self.paired:
                reader = self._only_reader(reader.name)
            fires = reader is not None and reader.role == Role.SPIKE and reader.name not in self.pooled
            if fires and node.op == "aten.conv2d.default":
                found.add(node.name)
        return frozenset(found)

    def _only_reader(self, name: str) -> Node | None:
        users = self.graph.users.get(name, [])
        return users[0] if len(users) == 1 and name not in self.graph.output_names() else None

    @cached_property
    def pooled(self) -> frozenset[str]:
        """Neurons whose spikes only a max-pool reads."""
        users = {n.name: self.graph.users.get(n.name, []) for n in self.body if n.role == Role.SPIKE}
        alone = {name for name, found in users.items() if len(found) == 1 and found[0].op in POOLS}
        return frozenset(alone.difference(self.graph.output_names()))

    @cached_property
    def sparse(self) -> frozenset[str]:
        """Names of the values that are mostly 0 in each step."""
        return sparse(self.graph)

    @cached_property
    def last_use(self) -> dict[str, list[str]]:
        """For each timed node the timed values that nobody reads after it."""
        kept = {*self.graph.output_names(), *(n.name for n in self.static), *self.graph.inputs, *self.graph.tensors}
        return self._last_readers(self.timed, kept)

    @cached_property
    def last_use_of_all(self) -> dict[str, list[str]]:
        """The same over all nodes, for a walk that stops before the head and looks at the readouts."""
        kept = {*self.graph.output_names(), *self.graph.tensors, *readouts(self.graph)}
        return self._last_readers(self.graph.nodes, kept)

    @staticmethod
    def _last_readers(nodes: list[Node], kept: set[str]) -> dict[str, list[str]]:
        last = {name: node.name for node in nodes for name in (node.name, *node.refs)}
        released: dict[str, list[str]] = {}
        for name, reader in last.items():
            if name not in kept:
                released.setdefault(reader, []).append(name)
        return released

    @cached_property
    def peak(self) -> int:
        """Most numbers alive at once per sample and timestep, counting a layer's input, output and one copy."""
        alive = {name: size_of(self.graph.shape(name)) for name in self.graph.varying}
        most = max(1, sum(alive.values()))
        for node in self.timed:
            alive[node.name] = size_of(node.shape)
            most = max(most, sum(alive.values()) + 2 * size_of(node.shape))
            for name in self.last_use.get(node.name, ()):
                alive.pop(name, None)
        return most

    def before(self, name: str) -> list[Node]:
        """The nodes between the layers of neurons that feed a layer, or the inputs, and its current."""
        found: dict[str, Node] = {}
        queue = [self.graph.node(name)]
        while queue:
            reader = queue.pop()
            for node in map(self.graph.node, [] if reader is None else reader.refs):
                if node is not None and node.role != Role.SPIKE and node.name not in found:
                    found[node.name] = node
                    queue.append(node)
        return list(found.values())

    @cached_property
    def depth(self) -> int:
        """Most spiking layers on a way from an input to an output."""
        return self._deepest({n.name for n in self.graph.nodes if n.role == Role.SPIKE})

    @cached_property
    def waiting(self) -> int:
        """The same of the layers alone that other layers of neurons feed."""
        return self._deepest({n.name for n in self.timed if n.role == Role.SPIKE} - self.first)

    @cached_property
    def spiked(self) -> frozenset[str]:
        """Names of spikes, and of all that is computed from some."""
        found: set[str] = set()
        for node in self.graph.nodes:
            if node.role == Role.SPIKE or not found.isdisjoint(node.refs):
                found.add(node.name)
        return frozenset(found)

    @cached_property
    def first(self) -> frozenset[str]:
        """Names of the layers of neurons that the inputs alone feed."""
        return frozenset(n.name for n in self.graph.nodes if n.role == Role.SPIKE and self.spiked.isdisjoint(n.refs))

    def _deepest(self, layers: set[str]) -> int:
        depth: dict[str, int] = {}
        for node in self.graph.nodes:
            depth[node.name] = max((depth.get(name, 0) for name in node.refs), default=0) + (node.name in layers)
        return max(depth.values())

    @cached_property
    def apart(self) -> bool:
        """Whether samples never meet, so that the network may be run on pieces of a batch."""
        return apart(self.graph)

    @cached_property
    def apart_inside(self) -> bool:
        """Whether samples never meet before the head, and come first in every input; a number is no sample's."""
        where = places(self.graph)
        first = all(where[name] == Along(0) for name in self.graph.inputs)
        return first and all(where[n.name] is not MIXED for n in self.graph.nodes if n.role != Role.HEAD)

    @cached_property
    def side_by_side(self) -> bool:
        """Whether besides they come first in every value there, one entry each."""
        found = [places(self.graph)[n.name] for n in self.graph.nodes if n.role != Role.HEAD]
        return self.apart_inside and all(not isinstance(place, Along) or place == Along(0) for place in found)

    @cached_property
    def separable(self) -> bool:
        """Whether besides they come first in all that varies in time, so that some may leave a run under way."""
        where = places(self.graph)
        return self.apart and all(isinstance(p := where[n.name], Along) and p.first for n in self._varying)

    @property
    def _varying(self) -> list[Node]:
        return [n for n in self.timed if n.name in self.graph.timed]

    def piece(self, batch: int, timesteps: int, budget: int, workers: int) -> int:
        """How many samples to take through the network at once, of a batch that several cores work on."""
        room = budget // (4 * timesteps * self.peak)
        return max(1, min(room, -(-batch // workers)))

    def block(self, batch: int, timesteps: int, budget: int) -> int:
        """How many of the timesteps to run at once so that a batch takes about ``budget`` bytes."""
        return max(1, min(timesteps, budget // (4 * batch * self.peak)))


def size_of(shape: tuple[int | None, ...] | None) -> int:
    """Numbers for each sample of a value of this shape."""
    return math.prod(n for n in shape or () if n is not None and n > 0)
