"""Potentials that cannot sink below a bound, as chips hold them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

from ..run.neurons import SpikingReLU


def bounded_neurons(neurons: Mapping[str, SpikingReLU], floor: float | None) -> dict[str, SpikingReLU]:
    """The neurons with a lower bound of their potentials in units of θ; None takes it away.

    Raises:
        ConversionError: a floor above 0, or no number.
    """
    made = {name: copy.deepcopy(neuron) for name, neuron in neurons.items()}
    for neuron in made.values():
        neuron.options = replace(neuron.options, floor=floor)
    return made
