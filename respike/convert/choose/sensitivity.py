"""What each layer gains by more spikes a step, and at what price: estimated from the ANN, a few passes a layer.

The ANN is run with that one layer quantised, as its neurons would at best. That leaves out the unevenness of spikes
that arrive over time, but ranks layers as well as calibrating a network for every step did, at a tenth of the cost.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..calibrate.options import Options
from ..calibrate.statistics import per_channel
from ..calibrate.thresholds import best_threshold, set_thresholds
from ..errors import ConversionWarning
from ..graph import Graph, Node
from ..graph.rules import Role
from ..run.arithmetic import holds
from ..run.modes import Analog
from ..run.neurons import NeuronOptions, SpikingReLU, channel_axis
from ..run.walk import Value
from .measure import Measure, Outcome

POSITIONS = 1024
"""Positions per channel on which a quantised layer's thresholds are tried out."""

DOUBLINGS = 3
"""How often a layer's spikes a step may be doubled."""


@dataclass(frozen=True)
class Level:
    """A layer with so many spikes a step: the error that it alone makes, and its synaptic operations."""

    error: float
    cost: float


def sensitivity(
    graph: Graph, measure: Measure, plain: Outcome, progress: Callable[[str], None] | None
) -> dict[str, list[Level]]:
    """Each layer's levels, as it is and after each doubling that its precision holds, by node name.

    Args:
        graph: With roles set.
        measure: On a few samples.
        plain: What the plain network does: a layer's price grows from there as its spikes do.
        progress: Called with a line of text for each layer.
    """
    relus = [n for n in graph.nodes if n.role == Role.SPIKE]
    found: dict[str, list[Level]] = {}
    for number, node in enumerate(relus, 1):
        pools = [n.name for n in graph.users.get(node.name, []) if n.role == Role.MAX]
        cost = sum(plain.synops.get(name, 0.0) for name in (node.name, *pools))
        found[node.name] = []
        before = 0.0
        for k in range(DOUBLINGS + 1):
            kind = doubled(measure.options, k)
            if not holds(measure.options.precision, kind):
                break
            one = OneQuantised(graph, node, measure.options, kind)
            error = measure.analog(one)
            before = before or one.spikes
            found[node.name].append(Level(error, cost * one.spikes / before if before else 0.0))
        if progress is not None:
            progress(f"allocating: layer {number} of {len(relus)}")
    return found


def doubled(options: Options, times: int) -> NeuronOptions:
    """The neurons with 2^times as many spikes a step."""
    return replace(options.neurons, max_spikes=2**times * options.neurons.max_spikes)


class OneQuantised(Analog):
    """The ANN, but for one layer that sends what its neurons send for a constant current.

    Args:
        graph: With roles set.
        node: The layer.
        options: T and the granularity.
        kind: Its neurons.

    Attributes:
        spikes: How many the layer has sent.
    """

    def __init__(self, graph: Graph, node: Node, options: Options, kind: NeuronOptions) -> None:
        self.node, self.options = node, replace(options, schedule="layerwise", delay=1)
        self.neuron = SpikingReLU(node, kind, channel_axis(node, graph))
        self.ready = False
        self.spikes = 0.0

    def spike(self, node: Node, x: Value) -> Value:
        if node.name != self.node.name:
            return super().spike(node, x)
        if not self.ready:  # thresholds are those for the first batch
            self.neuron.to(x.device)
            self._choose(x)
            self.ready = True
        count = self.neuron.count(x, torch.tensor(float(self.options.timesteps), device=x.device))
        self.spikes += float(count.sum(dtype=torch.float64))
        return count * self.neuron.threshold / self.options.timesteps

    def _choose(self, x: Tensor) -> None:
        currents = per_channel(x, self.neuron.axis)
        order = torch.randperm(len(currents), generator=torch.Generator().manual_seed(self.options.seed))
        currents = currents[order[:POSITIONS].to(x.device)]
        target = self.neuron.ann(currents)
        with warnings.catch_warnings():  # a layer that never fires is told of where it is calibrated
            warnings.simplefilter("ignore", ConversionWarning)
            found = best_threshold(currents.unsqueeze(0), target, self.neuron, self.options)
            set_thresholds(self.neuron, found, self.options)
