"""``respike.check``: whether a converted network fits on a chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..convert import checks
from ..convert.data import first_batches, inputs
from ..convert.errors import ConversionError
from ..convert.network import SpikingNetwork
from ..convert.output_judging import border, decision
from . import core_rules, number_rules, shape_rules, use_rules
from .layers import layout_of
from .potentials import reached
from .result import Check, Rule
from .subject import Subject
from .targets import Target, target_named
from .whole_numbers import is_whole, whole_layer

RULES: tuple[Callable[[Subject], list[Rule]], ...] = (
    shape_rules.operations,
    shape_rules.max_pools,
    shape_rules.sums,
    shape_rules.pools,
    shape_rules.kernels,
    shape_rules.strides,
    shape_rules.padding,
    shape_rules.dilation,
    shape_rules.channels,
    shape_rules.maps,
    shape_rules.destinations,
    core_rules.kernel_memory,
    core_rules.neuron_memory,
    core_rules.bias_memory,
    core_rules.cores,
    number_rules.scales,
    number_rules.biases,
    number_rules.thresholds,
    number_rules.potentials,
    use_rules.neurons,
    use_rules.schedule,
    use_rules.events,
    use_rules.readout,
)
"""In the order in which they are shown."""


def check(snn: SpikingNetwork, target: str = "speck", calibration: Any = None, *, samples: int = 64) -> Check:
    """Hold a converted network against the limits of a chip, each with what it found and what to change.

    A network in whole numbers (``snn.quantised``) is checked as it is. Of another one ``snn.quantised(bits,
    scale="layer", bias_bits=bits)``, with the chip's bits, is checked: ``found.network``. With calibration data it is
    said how often both decide alike.

    >>> model = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2), nn.ReLU())
    >>> images = torch.rand(64, 1, 8, 8)
    >>> snn = respike.from_torch(model, images, timesteps=8)
    >>> found = respike.check(snn, "speck", images)
    >>> [rule.name for rule in found.failed], found.cores[0].kernel
    ([], 64)

    Args:
        snn: The network.
        target: The chip, a table of ``respike/hardware/targets.toml``: ``"speck"``.
        calibration: Samples as for ``respike.from_torch``, unlabelled: for the potentials that are really reached and
            for what the input is. Without them these rules stay open.
        samples: The most samples that are run.

    Returns:
        The rules, each passed, failed or open; ``print`` shows them.

    Raises:
        ConversionError: an unknown chip, something else than a network, or unusable calibration data.
    """
    checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork, as respike.from_torch returns it")
    limits, count = target_named(target), checks.whole("samples", samples, 1)
    data = None if calibration is None else _samples(snn, calibration, count)
    network, quantised = _in_whole_numbers(snn, limits)
    subject = _subject(network, limits, data)
    rules = tuple(rule for judge in RULES for rule in judge(subject))
    agreement = _agreement(snn, network, data) if quantised and data is not None else None
    ran = 0 if data is None else len(data[0])
    uses = tuple(core_rules.uses(subject))
    return Check(limits.name, limits.title, rules, uses, network, quantised, agreement, ran)


def _samples(snn: SpikingNetwork, calibration: Any, count: int) -> list[Tensor]:
    """The inputs of the first samples, joined."""
    device = next(iter(snn.buffers())).device
    found = list(first_batches(inputs(calibration, snn.graph, 0, device, snn.timesteps), count))
    return [torch.cat(parts)[:count] for parts in zip(*found, strict=True)]


def _in_whole_numbers(snn: SpikingNetwork, target: Target) -> tuple[SpikingNetwork, bool]:
    """The network in whole numbers, and whether it had to be made so."""
    if snn.unit_thresholds and is_whole(layout_of(snn.held_graph())):
        return snn, False
    return snn.quantised(target.weight_bits, scale="layer", bias_bits=target.bias_bits), True


def _subject(snn: SpikingNetwork, target: Target, data: list[Tensor] | None) -> Subject:
    graph = snn.held_graph()
    layout = layout_of(graph)
    neurons = snn.layers()
    whole = {
        layer.name: whole_layer(layer, graph, None if layer.neurons is None else neurons[layer.neurons.name])
        for layer in layout.layers
    }
    found = Subject(snn, layout, target, whole, data, unknown="not known without samples")
    if data is None:
        return found
    try:
        return replace(found, ranges=reached(snn, data))
    except ConversionError as error:
        return replace(found, unknown=f"cannot be measured: {error}")


def _agreement(snn: SpikingNetwork, other: SpikingNetwork, data: list[Tensor]) -> float | None:
    """Share of samples in which both decide alike; None if they decide nothing."""
    args = snn.graph.unflatten(data)
    first, second = (decision(network(*args), border(network.graph)) for network in (snn, other))
    if first is None or second is None:
        return None
    return float((first == second).float().mean())
