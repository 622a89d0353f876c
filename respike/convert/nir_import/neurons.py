"""IF nodes as layers of neurons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..graph import RELU, Ref
from ..graph.rules import Role
from ..nir_file.contents import V_0
from ..options import NeuronOptions
from ..run.neurons import SpikingReLU
from .building import Building, Place

Numbers = np.ndarray[Any, Any]


def integrate_and_fire(
    place: Place, x: Ref, made: Building, options: NeuronOptions, dt: float
) -> tuple[Ref, str, SpikingReLU]:
    """The neurons of a node: what they send, in units of NIR (a spike is 1), their name, and themselves.

    V grows by r·dt·I and is compared with θ. In respike it grows by I and is compared with θ/(r·dt), and a spike
    carries that.

    Args:
        place: Of type ``IF``.
        x: The current.
        made: The graph so far.
        options: What they do.
        dt: A timestep in units of NIR's time.
    """
    sides = made.sides(x)
    gain, theta = (_spread(place, name, sides) for name in ("r", "v_threshold"))
    gain = gain * dt
    if "v_reset" in place.node.fields and bool((place.array("v_reset") != 0).any()):
        raise place.wrong("resets to a potential other than 0, which only a hard reset does")
    if not bool((gain > 0).all()) or not bool((theta > 0).all()):
        raise place.wrong("has a resistance r or a threshold that is not above 0")
    with np.errstate(all="ignore"):
        level = theta / gain
        start = _spread(place, V_0, sides) / theta if V_0 in place.node.metadata else np.zeros(sides)
    if not bool((level >= 1e-30).all()) or not bool((level <= 1e30).all()):
        raise place.wrong("has thresholds, divided by r, beyond what float32 can hold")
    units, first = _by_channel(level), _by_channel(start)
    if first is None:
        raise place.wrong("has potentials V_0 that differ within a channel")
    if units is None:  # one for each place: the current is scaled, and thresholds are 1
        factor = place.float32(1 / level, "v_threshold")
        x, units = made.add(place, "aten.mul.Tensor", x, made.tensor(factor)), np.ones([1] * len(sides))
    current = x
    spikes = made.add(place, RELU, current)
    node = replace(made.nodes[-1], role=str(Role.SPIKE))
    neuron = SpikingReLU(node, options, 1)
    shape = np.broadcast_shapes(units.shape, first.shape)
    neuron.threshold = place.float32(np.broadcast_to(units, shape), "v_threshold")
    neuron.start = place.float32(np.broadcast_to(first, shape), V_0)
    neuron.bias = neuron.threshold.new_zeros(shape)
    if bool((neuron.threshold == 1).all()):
        return spikes, node.name, neuron
    # Divided, and not multiplied by 1/θ, so that a spike is 1 to the last bit.
    return made.add(place, "aten.div.Tensor", spikes, made.tensor(neuron.threshold.clone())), node.name, neuron


def _spread(place: Place, name: str, sides: tuple[int, ...]) -> Numbers:
    """A field or entry of the metadata as one number for each neuron, in float64."""
    value = place.node.metadata[name] if name == V_0 else place.array(name)
    found = np.asarray(value) if not isinstance(value, str) else np.zeros(0)
    if found.dtype.kind not in "fiu" or (found.size != 1 and found.shape != sides):
        raise place.wrong(f"has {name} of shape {found.shape} for currents of {sides}")
    wide = found.astype(np.float64)
    return np.broadcast_to(wide.reshape(()) if wide.size == 1 else wide, sides)


def _by_channel(values: Numbers) -> Numbers | None:
    """The same numbers as one, or as one for each channel; None if they differ within one."""
    first = values.reshape(len(values), -1)[:, 0].reshape(-1, *[1] * (values.ndim - 1))
    if not (values == first).all():
        return None
    return first[:1] if (first == first[:1]).all() else first
