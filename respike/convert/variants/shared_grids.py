"""One grid for all channels of a layer, and for all layers whose currents meet in the same neurons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..graph import Graph
from ..graph.rules import MOVES, RESHAPES, Role
from ..run.neurons import SpikingReLU
from .normalised import MEANS
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


def shared_grids(
    graph: Graph, grids: Mapping[str, Grid], neurons: Mapping[str, SpikingReLU], largest: int | None
) -> tuple[dict[str, Grid], dict[str, int]]:
    """The same grids with one e wherever currents meet; and the e of each layer of neurons.

    It is the coarsest of those that weights have, or coarser: the neurons' constant currents can be asked to be whole
    numbers up to ``largest``. Where the network averages n spikes before the synapses, a chip adds them up: a weight of
    1 is worth n times as much there, and so a constant current is a number n times as large.

    Args:
        graph: With roles and weights.
        grids: Of each node with weights.
        neurons: By node name; their thresholds are 1.
        largest: Number that a constant current can be; None for any.
    """
    made, exponents = dict(grids), {}
    for meeting in meetings(graph, frozenset(grids)):
        e = min(int(grids[name].weight.min()) for name in meeting.synapses)
        if largest is not None and meeting.neurons:  # those of a readout are added where it is read
            constant = float(largest_constants(graph, grids, meeting, neurons).max())
            e = e if constant == 0 else min(e, math.floor(math.log2(largest / constant)))
        for name in meeting.synapses:
            old = grids[name]
            made[name] = replace(old, weight=torch.full_like(old.weight, e), output=torch.full_like(old.output, e))
        exponents.update(dict.fromkeys(meeting.neurons, e))
    return made, exponents


def largest_constants(
    graph: Graph, grids: Mapping[str, Grid], meeting: Meeting, neurons: Mapping[str, SpikingReLU]
) -> Tensor:
    """The size of constant currents, times what the network averages before the synapses: of each channel, or one."""
    total, pooled = torch.zeros(1), 1.0
    for name in meeting.synapses:
        node, place = graph.node(name), grids[name].bias
        assert node is not None
        if place is not None:
            total = total + graph.tensors[node.args[place].name].flatten().cpu()
        pooled = max([pooled, *(_averaged(graph, source) for source in node.refs)])
    own = [neurons[name].bias.flatten().cpu() for name in meeting.neurons]
    if len(own) == 1 and (own[0].numel() in (1, total.numel()) or total.numel() == 1):
        return pooled * (total + own[0]).abs()
    return pooled * (total.abs().max() + max(x.abs().max() for x in own)).reshape(1)


def _averaged(graph: Graph, name: str) -> float:
    """How many values behind neurons an average takes together on the way to this value."""
    node, count = graph.node(name), 1.0
    while node is not None and node.role == Role.LINEAR and node.refs:
        if node.op in MEANS | {"aten.mean.dim"}:
            before, after = (_size(graph.shape(name)) for name in (node.refs[0], node.name))
            count *= before / max(after, 1)
        elif node.op not in MOVES | RESHAPES:
            break
        node = graph.node(node.refs[0])
    return count


def _size(shape: tuple[int | None, ...] | None) -> int:
    return math.prod(n for n in (shape or ())[1:] if n is not None)
