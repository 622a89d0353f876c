"""Counts events and synaptic operations while a network runs."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from .fanout import FanOut
from .graph import Node


class EventCounter:
    """A recorder (``modes.Recorder``) that sums events over samples, for each layer and step.

    Args:
        work: The network's fan-out.
        timesteps: Most steps that one batch runs.

    Attributes:
        spikes: Events of each layer in each step, ``(timesteps,)``, by node name.
        synops: The synaptic operations that they caused.
    """

    def __init__(self, work: FanOut, timesteps: int) -> None:
        self.work = work
        self.spikes = {name: np.zeros(timesteps) for name in work.events}
        self.synops = {name: np.zeros(timesteps) for name in work.events}
        self._synapses = {name: fan.flatten() for name, fan in work.events.items()}
        self._filled = dict.fromkeys(work.events, 0)

    def begin_batch(self) -> None:
        """The next events belong to the first timestep again."""
        self._filled = dict.fromkeys(self._filled, 0)

    def another(self) -> EventCounter:
        """One that has counted nothing yet, for other samples of the same run."""
        other = copy.copy(self)
        other.spikes, other.synops = ({k: np.zeros_like(v) for k, v in c.items()} for c in (self.spikes, self.synops))
        other.begin_batch()
        return other

    def add(self, other: EventCounter) -> None:
        """Count as well what another has counted."""
        for own, more in ((self.spikes, other.spikes), (self.synops, other.synops)):
            for name, steps in more.items():
                own[name] += steps

    def __call__(self, node: Node, events: Tensor, values: Tensor) -> None:
        start = self._filled[node.name]
        self._filled[node.name] = stop = start + len(events)
        # Whole numbers, and few samples at a time: float32 is exact.
        per_neuron = _over_batch(events.float(), self.work.events[node.name].shape).double()
        self.spikes[node.name][start:stop] += per_neuron.sum(1).cpu().numpy()
        synapses = self._synapses[node.name].to(per_neuron.device)
        self.synops[node.name][start:stop] += (per_neuron @ synapses).cpu().numpy()


def _over_batch(events: Tensor, single: torch.Size) -> Tensor:
    """``(T, neurons)``: events summed over samples, given the shape ``single`` they have for one sample."""
    for axis, size in enumerate(single, 1):
        if events.shape[axis] != size:  # the batch is in this axis, alone or as its slower part
            events = events.unflatten(axis, (-1, size)).sum(axis)
    return events.reshape(len(events), -1)
