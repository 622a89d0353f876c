"""What one layer of a network did, as curves over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
"""One value for each timestep; entry t − 1 belongs to t steps."""


INPUT = "input"
"""The kind of an input that is events."""


@dataclass(frozen=True)
class LayerActivity:
    """The activity of one spiking layer, of one max-pool over spikes, or of an input that is events.

    Attributes:
        name: The node's name.
        where: Its place in the user's model.
        kind: ``"spike"``, ``"max"`` or ``"input"``.
        neurons: How many outputs it has per sample.
        spikes: Events per sample up to each timestep.
        synops: Synaptic operations that they caused.
        direct: Additions and comparisons without a synapse that they caused: where a spike is added to a membrane as
            it is, and in a maximum.
        carries: What an event is worth: ``"spike"``, always the same; ``"power of two"``, a shifted weight; or
            ``"value"``, a multiplication at each synapse.
        levels: How many of the smallest spike a neuron can send in one step.
        step_additions: Additions and comparisons of each neuron in each timestep.
        step_multiplications: Multiplications likewise.
        spike_additions: Additions and comparisons of a neuron for each of its spikes.
    """

    name: str
    where: str
    kind: str
    neurons: int
    spikes: Curve
    synops: Curve
    direct: Curve
    carries: str
    levels: int
    step_additions: int = 0
    step_multiplications: int = 0
    spike_additions: int = 0

    @property
    def rate(self) -> Curve:
        """Mean firing rate, in spikes per neuron and timestep."""
        return self.spikes / (self.neurons * np.arange(1, len(self.spikes) + 1))


def per_sample(layers: Sequence[LayerActivity], totals: Mapping[str, Curve], samples: int) -> tuple[LayerActivity, ...]:
    """The layers, with means over samples of what they did.

    Args:
        layers: What they are.
        totals: Spikes, synaptic operations and operations without a synapse, of all samples, ``(3, T)`` by name.
        samples: How many.
    """
    found = []
    for layer in layers:
        spikes, synops, direct = totals[layer.name] / samples
        found.append(replace(layer, spikes=spikes, synops=synops, direct=direct))
    return tuple(found)
