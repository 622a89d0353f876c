"""What a module has learned, back in the engine."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...layers import RateNeuron
from ..errors import ConversionError
from ..graph import Graph
from ..run.neurons import SpikingReLU
from ..run.simulator import Simulator
from .module import ORIGIN


def taken_back(snn: Simulator, module: nn.Module) -> tuple[Graph, dict[str, SpikingReLU]]:
    """The network's graph and neurons with the parameters that its module has now.

    Raises:
        ConversionError: the network has unit thresholds, it is no module of this network, or what it has learned is no
            network: a threshold that is not positive, or a number that is not finite.
    """
    places: Any = getattr(module, "meta", {}).get(ORIGIN)
    graph, layers = snn.held_graph(), snn.layers()
    if places is None or places["neurons"].keys() != layers.keys():
        raise ConversionError(
            f"with_module takes what to_module() of this network gave, or a copy of it; got {type(module).__name__}"
            + (" of another network" if places is not None else "")
        )
    if snn.unit_thresholds:
        raise ConversionError(
            "what a module has learned has no thresholds of 1 and no whole numbers; train the module of the network "
            "that this one was made from, and call normalised() or quantised() on the result"
        )
    tensors = dict(graph.tensors)
    for name, place in places["tensors"].items():
        tensors[name] = _learned(module, place, tensors[name])
    neurons = {}
    for name, place in places["neurons"].items():
        layer, neuron = module.get_submodule(place), copy.deepcopy(layers[name])
        if not isinstance(layer, RateNeuron):
            raise ConversionError(f"{place} is no RateNeuron any more, but a {type(layer).__name__}")
        neuron.threshold = _learned(module, f"{place}.spike_threshold", neuron.threshold)
        neuron.bias = _learned(module, f"{place}.bias", neuron.bias)
        neuron.start = _learned(module, f"{place}.start", neuron.start)
        if not bool((neuron.threshold > 0).all()):
            raise ConversionError(
                f"{place}.spike_threshold has values that are not positive; keep them above 0 while you train, "
                "with clamp_ after each step for example"
            )
        neurons[name] = neuron
    return replace(graph, tensors=tensors), neurons


def _learned(module: nn.Module, place: str, before: Tensor) -> Tensor:
    """A parameter or buffer as it is now, in the form that it had before."""
    owner, _, name = place.rpartition(".")
    value: Tensor = getattr(module.get_submodule(owner), name).detach()
    if value.shape != before.shape:
        raise ConversionError(f"{place} has the shape {tuple(value.shape)}, and the network {tuple(before.shape)}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise ConversionError(f"{place} has values that are not finite: the training diverged; use a smaller step")
    return value.clone(memory_format=torch.contiguous_format).to(before)
