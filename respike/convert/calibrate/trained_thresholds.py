"""Layers whose activation was quantised in training: what neurons compute exactly, and calibration leaves alone."""

from __future__ import annotations

from collections.abc import Mapping

from ..graph import Graph
from ..graph.rules import Role
from ..options import Options
from ..run.neurons import SpikingReLU


def exact_values(graph: Graph, neurons: Mapping[str, SpikingReLU], options: Options) -> set[str]:
    """Names of the values that arrive, summed over T, as the ANN has them, but for rounding.

    A layer with L steps is integrate-and-fire neurons at T = L for a current that is constant, or complete before they
    fire; what is behind it sees the ANN's values then.
    """
    exact = set(graph.inputs)
    timed: set[str] = set()
    for node in graph.nodes:
        spikes = node.role == Role.SPIKE
        if spikes or not timed.isdisjoint(node.refs):
            timed.add(node.name)
        if not all(name in exact or name in graph.tensors for name in node.refs):
            continue
        even = options.schedule == "layerwise" or timed.isdisjoint(node.refs)
        if not spikes or (even and neurons[node.name].is_exact_at(options.timesteps)):
            exact.add(node.name)
    return exact
