"""What each layer of a network did, as curves over time."""

from __future__ import annotations

import math

import numpy as np

from ..convert.activity import EventCounter
from ..convert.network import SpikingNetwork
from .result import LayerActivity


class ActivityCounter(EventCounter):
    """Counts a network's events and gives the means per sample."""

    def __init__(self, snn: SpikingNetwork, timesteps: int) -> None:
        super().__init__(snn.fan_out, timesteps)
        self.snn = snn
        self.cumulative = snn.schedule != "synchronous"

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
