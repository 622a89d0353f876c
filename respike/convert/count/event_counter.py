"""Counts events and synaptic operations while a network runs."""

from __future__ import annotations

import copy
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..graph import Node
from ..run.time_varying import summed
from .fan_out import FanOut


class EventCounter:
    """A recorder (``recording.Recorder``) that sums events over samples, for each layer and step.

    Args:
        work: The network's fan-out.
        timesteps: Most steps that one batch runs.

    Attributes:
        spikes: Events of each layer in each step, ``(timesteps,)``, by node name.
        synops: The synaptic operations that they caused.
        direct: The additions and comparisons without a synapse that they caused.
    """

    def __init__(self, work: FanOut, timesteps: int) -> None:
        self.work = work
        self.spikes, self.synops, self.direct = ({name: np.zeros(timesteps) for name in work.events} for _ in range(3))
        self._caused = {
            name: torch.stack([torch.ones(fan.numel(), dtype=fan.dtype), fan.flatten(), work.direct[name].flatten()], 1)
            for name, fan in work.events.items()
        }
        self._filled = dict.fromkeys(work.events, 0)

    @property
    def counts(self) -> tuple[dict[str, np.ndarray], ...]:
        """Spikes, synaptic operations and operations without a synapse."""
        return self.spikes, self.synops, self.direct

    def begin_batch(self) -> None:
        """The next events belong to the first timestep again."""
        self._filled = dict.fromkeys(self._filled, 0)

    def another(self) -> Self:
        """One that has counted nothing yet, for other samples of the same run."""
        other = copy.copy(self)
        other.spikes, other.synops, other.direct = (
            {name: np.zeros_like(steps) for name, steps in counts.items()} for counts in self.counts
        )
        other.begin_batch()
        return other

    def add(self, other: EventCounter) -> None:
        """Count as well what another has counted."""
        for own, more in zip(self.counts, other.counts, strict=True):
            for name, steps in more.items():
                own[name] += steps

    def __call__(self, node: Node, events: Tensor, values: Tensor) -> None:
        start = self._filled[node.name]
        self._filled[node.name] = stop = start + len(events)
        # Whole numbers, and few samples at a time: float32 is exact.
        per_neuron = over_batch(events.float(), self.work.events[node.name].shape).double()
        found = (per_neuron @ self._caused[node.name].to(per_neuron.device)).cpu().numpy()
        for counts, steps in zip(self.counts, found.T, strict=True):
            counts[node.name][start:stop] += steps


def over_batch(events: Tensor, single: torch.Size) -> Tensor:
    """``(T, neurons)``: events summed over samples, given the shape ``single`` they have for one sample."""
    for axis, size in enumerate(single, 1):
        if events.shape[axis] != size:  # the batch is in this axis, alone or as its slower part
            events = summed(events.unflatten(axis, (-1, size)), axis)
    return events.reshape(len(events), -1)
