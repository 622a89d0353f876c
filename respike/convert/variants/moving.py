"""A network's graph for inputs that move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .. import checks
from ..errors import ConversionError
from ..graph import BATCH, Graph
from ..graph.rules import Role
from ..passes import set_roles
from ..run.execution_plan import Plan


def of_frames(graph: Graph, inputs: Iterable[str] | bool) -> Graph:
    """The graph of a network, with roles, for other inputs that move.

    Raises:
        ConversionError: as ``with_moving``; or nodes that have no place in time any more, as a product of frames and
            spikes.
    """
    spiked = Plan(graph).spiked  # other functions of the input are static if it holds still
    analog = [n.name for n in graph.nodes if n.role == Role.ANALOG and not spiked.isdisjoint(n.refs)]
    # Where names of nodes are given, none must be taken for that of a module.
    bare = replace(graph, nodes=[replace(n, path="") for n in graph.nodes]) if analog else graph
    judged = set_roles(with_moving(bare, inputs), analog)
    nodes = [replace(n, path=old.path) for n, old in zip(judged.nodes, graph.nodes, strict=True)]
    return replace(judged, nodes=nodes)


def with_moving(graph: Graph, inputs: Iterable[str] | bool) -> Graph:
    """The same graph, which knows what moves.

    Args:
        graph: Of the network.
        inputs: As for ``SpikingNetwork.with_time``.

    Raises:
        ConversionError: an unknown name, or an input that does not begin with the samples.
    """
    if isinstance(inputs, bool):
        chosen = [name for name in graph.inputs if name not in graph.integers] if inputs else []
    else:
        chosen = list(checks.names("inputs", inputs))
    known = ", ".join(map(repr, graph.inputs))
    for name in chosen:
        if name not in graph.inputs:
            raise ConversionError(f"inputs: there is no input {name!r}; the network has {known}")
        if graph.inputs[name][:1] != (BATCH,):
            raise ConversionError(f"the input {name!r} does not begin with the samples, and has no place for time")
    return replace(graph, moving=frozenset(chosen))
