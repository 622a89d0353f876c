"""One grid for all channels of a layer, and for all layers whose currents meet in the same neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from ..graph import Graph
from ..graph.rules import Role
from .weight_grids import Grid

_CURRENTS = frozenset({Role.LINEAR, Role.STATIC, Role.MAX})


@dataclass(frozen=True)
class Meeting:
    """Synapses whose currents meet.

    Attributes:
        synapses: Nodes with weights.
        neurons: Nodes of role ``spike`` that get the currents; none behind a readout.
    """

    synapses: tuple[str, ...]
    neurons: tuple[str, ...]


def meetings(graph: Graph, weighted: frozenset[str]) -> list[Meeting]:
    """The nodes with weights, sorted by where their currents meet, whatever lies between without weights.

    Args:
        graph: With roles.
        weighted: Names of the nodes with weights.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    def is_current(name: str) -> bool:
        node = graph.node(name)
        return node is not None and node.role in _CURRENTS

    for node in graph.nodes:
        if node.name not in weighted and (node.role == Role.SPIKE or is_current(node.name)):
            for name in filter(is_current, node.refs):  # neurons stand for what they get, and not for what they send
                parent[root(name)] = root(node.name)
    found: dict[str, Meeting] = {}
    for node in graph.nodes:
        place = root(node.name)
        have = found.get(place, Meeting((), ()))
        if node.name in weighted:
            found[place] = replace(have, synapses=(*have.synapses, node.name))
        elif node.role == Role.SPIKE:
            found[place] = replace(have, neurons=(*have.neurons, node.name))
    return [meeting for meeting in found.values() if meeting.synapses]


def shared_grids(graph: Graph, grids: Mapping[str, Grid]) -> tuple[dict[str, Grid], dict[str, int]]:
    """The same grids with one e wherever currents meet, the coarsest of them; and the e of each layer of neurons."""
    made, exponents = dict(grids), {}
    for meeting in meetings(graph, frozenset(grids)):
        e = min(int(grids[name].weight.min()) for name in meeting.synapses)
        for name in meeting.synapses:
            old = grids[name]
            made[name] = replace(old, weight=torch.full_like(old.weight, e), output=torch.full_like(old.output, e))
        exponents.update(dict.fromkeys(meeting.neurons, e))
    return made, exponents
