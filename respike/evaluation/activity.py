"""What each layer of a network did, as curves over time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..convert.count.event_counter import EventCounter
from ..convert.graph import Node
from ..convert.graph.rules import Role
from ..convert.network import SpikingNetwork
from ..convert.options import NeuronOptions
from ..convert.run.moving_inputs import event_source
from ..convert.run.neurons import SpikingReLU
from ..convert.run.spike_units import unit_behind
from .layer_activity import INPUT, Curve, LayerActivity


class ActivityCounter(EventCounter):
    """Counts a network's events, and says what its layers are."""

    def __init__(self, snn: SpikingNetwork, timesteps: int) -> None:
        super().__init__(snn.fan_out, timesteps)
        self.snn = snn
        self.timesteps = timesteps
        self.cumulative = snn.schedule != "synchronous"

    def totals(self) -> dict[str, Curve]:
        """Spikes, synaptic operations and operations without a synapse of each layer up to each timestep, (3, T)."""
        found = {name: np.stack([counts[name] for counts in self.counts]) for name in self.work.events}
        return found if self.cumulative else {name: np.cumsum(steps, 1) for name, steps in found.items()}

    def layers(self) -> tuple[LayerActivity, ...]:
        """The layers, which have done nothing yet."""
        found = []
        nothing = np.zeros(self.timesteps)
        for name in self.work.events:
            node = self.snn.graph.node(name) or event_source(self.snn.graph, name)
            size = math.prod(n for n in self.work.events[name].shape)
            about = self._about(node)
            kind = INPUT if name in self.snn.graph.inputs else node.role
            found.append(LayerActivity(name, node.where, kind, size, nothing, nothing, nothing, **about))
        return tuple(found)

    def _about(self, node: Node) -> dict[str, Any]:
        """What an event of the layer carries, and what its neurons compute."""
        if node.name in self.snn.graph.inputs:
            return {"carries": "spike", "levels": 1}
        if node.role == Role.SPIKE:
            return _operations(_neuron(self.snn, node.name).options)
        read = node.refs[0]
        shape = self.work.events[read].shape[1:] if read in self.snn.neurons else ()
        source = _neuron(self.snn, read) if read in self.snn.neurons else None
        whole = unit_behind(node, source, shape) is not None
        return {"carries": "spike" if whole else "value", "levels": 1}


def _neuron(snn: SpikingNetwork, name: str) -> SpikingReLU:
    found = snn.neurons[name]
    assert isinstance(found, SpikingReLU)
    return found


def _operations(options: NeuronOptions) -> dict[str, Any]:
    """What a neuron computes in each step, whatever happens, and for each spike.

    In each step the constant current is added, and the potential is compared with each threshold; a spike is
    subtracted. A burst compares again after each spike; a neuron that takes spikes back compares with 0 as well, and
    keeps its net count; a leak is a multiplication.
    """
    graded = options.neuron == "multi_threshold"
    thresholds = (options.levels if graded else 1) + options.takes_back
    return {
        "carries": "power of two" if graded else "spike",
        "levels": round(options.max_spikes / options.finest),
        "step_additions": 1 + thresholds,
        "step_multiplications": int(options.neuron == "lif"),
        "spike_additions": 1 + (options.max_spikes > 1) + options.takes_back,
    }
