"""What to compute when: once or in every block of timesteps, how long to keep it, how many steps fit."""

from __future__ import annotations

import math
from functools import cached_property

from .graph import Graph, Node
from .passes import readouts
from .rules import Role


class Plan:
    """The order of work for a graph with roles.

    Attributes:
        static: Nodes that are the same in every step, computed once for each batch.
        timed: Nodes that vary in time.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        timed: set[str] = set()
        for node in graph.nodes:
            if node.role == Role.SPIKE or not timed.isdisjoint(node.refs):
                timed.add(node.name)
        self.static = [n for n in graph.nodes if n.name not in timed]
        self.timed = [n for n in graph.nodes if n.name in timed]

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
        alive: dict[str, int] = {}
        most = 1
        for node in self.timed:
            alive[node.name] = _size(node)
            most = max(most, sum(alive.values()) + 2 * _size(node))
            for name in self.last_use.get(node.name, ()):
                alive.pop(name, None)
        return most

    @cached_property
    def depth(self) -> int:
        """Most spiking layers on a way from an input to an output."""
        return self._deepest({n.name for n in self.graph.nodes if n.role == Role.SPIKE})

    @cached_property
    def waiting(self) -> int:
        """The same of the layers alone whose current varies in time."""
        varying = {n.name for n in self.timed}
        return self._deepest({n.name for n in self.timed if n.role == Role.SPIKE and not varying.isdisjoint(n.refs)})

    def _deepest(self, layers: set[str]) -> int:
        depth: dict[str, int] = {}
        for node in self.graph.nodes:
            depth[node.name] = max((depth.get(name, 0) for name in node.refs), default=0) + (node.name in layers)
        return max(depth.values())

    def block(self, batch: int, timesteps: int, budget: int) -> int:
        """How many of the timesteps to run at once so that a batch takes about ``budget`` bytes."""
        return max(1, min(timesteps, budget // (4 * batch * self.peak)))


def _size(node: Node) -> int:
    return math.prod(n for n in node.shape or () if n is not None and n > 0)
