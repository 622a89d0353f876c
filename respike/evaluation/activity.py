"""Counts events and synaptic operations while a network runs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..convert.graph import Node
from ..convert.network import SpikingNetwork
from .result import LayerActivity


class ActivityCounter:
    """A recorder (``convert.modes.Recorder``) that sums events over samples, for each layer and step."""

    def __init__(self, snn: SpikingNetwork, timesteps: int) -> None:
        self.snn, self.timesteps = snn, timesteps
        self.work = snn.fan_out
        self.cumulative = snn.schedule == "layerwise"
        self.spikes = {name: np.zeros(timesteps) for name in self.work.events}
        self.synops = {name: np.zeros(timesteps) for name in self.work.events}
        self._synapses = {name: fan.flatten() for name, fan in self.work.events.items()}
        self._filled = dict.fromkeys(self.work.events, 0)

    def begin_batch(self) -> None:
        """The next events belong to the first timestep again."""
        self._filled = dict.fromkeys(self._filled, 0)

    def __call__(self, node: Node, events: Tensor, values: Tensor) -> None:
        start = self._filled[node.name]
        self._filled[node.name] = stop = start + len(events)
        per_neuron = _over_batch(events.double(), self.work.events[node.name].shape)
        self.spikes[node.name][start:stop] += per_neuron.sum(1).cpu().numpy()
        synapses = self._synapses[node.name].to(per_neuron.device)
        self.synops[node.name][start:stop] += (per_neuron @ synapses).cpu().numpy()

    def layers(self, samples: int) -> tuple[LayerActivity, ...]:
        """Means per sample up to each timestep."""
        found = []
        for name in self.work.events:
            node = self.snn.graph.node(name)
            assert node is not None
            curves = [c[name] / samples for c in (self.spikes, self.synops)]
            spikes, synops = curves if self.cumulative else [np.cumsum(c) for c in curves]
            size = math.prod(n for n in self.work.events[name].shape)
            found.append(LayerActivity(name, node.where, node.role, size, spikes, synops))
        return tuple(found)


def _over_batch(events: Tensor, single: torch.Size) -> Tensor:
    """``(T, neurons)``: events summed over samples, given the shape ``single`` they have for one sample."""
    for axis, size in enumerate(single, 1):
        if events.shape[axis] != size:  # the batch is in this axis, alone or as its slower part
            events = events.unflatten(axis, (-1, size)).sum(axis)
    return events.reshape(len(events), -1)
