"""A layer in whole numbers, as a core holds it: weights, biases, threshold and V_0 in one unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..convert.graph import Graph, Node
from ..convert.run.neurons import SpikingReLU
from .layers import Layer, Layout

FINEST = 20
"""Largest e that is tried: ``quantised`` has none above it."""


@dataclass(frozen=True)
class Whole:
    """A layer in units of 2^-e, divided by what its chip adds up where the network averages.

    Attributes:
        e: With which all are whole.
        pool: How many values the network averages before the synapses.
        weights: Least and largest.
        biases: Least and largest; 0 and 0 without any.
        threshold: Of the neurons.
        start: Least and largest V_0.
    """

    e: int
    pool: int
    weights: tuple[int, int]
    biases: tuple[int, int]
    threshold: int
    start: tuple[int, int]


def is_whole(layout: Layout) -> bool:
    """Whether each output channel of each layer has whole numbers for weights, in a unit of its own at least."""
    weights = [synapses.weight for layer in layout.layers for synapses in layer.synapses]
    return all(exponent([row]) is not None for weight in weights for row in weight.flatten(1))


def whole_layer(layer: Layer, graph: Graph, neuron: SpikingReLU | None) -> Whole | None:
    """A layer in whole numbers; None if it has none, or none with one unit.

    Args:
        layer: Of a normalised network: a threshold is 1.
        graph: That it is in.
        neuron: Its neurons; None behind a readout.
    """
    weights = [synapses.weight for synapses in layer.synapses]
    weights += [graph.tensors[name] for node in layer.factors for name in _weights_of(node, graph)]
    constants = [synapses.bias for synapses in layer.synapses if synapses.bias is not None]
    own = [] if neuron is None else [neuron.bias, neuron.start]
    e = exponent([*weights, *constants, *own])
    if e is None:
        return None
    pool = max(synapses.pool for synapses in layer.synapses)
    # Where the network averages k x k values, the chip adds them up: so a weight is worth k² times as much.
    scaled = [synapses.weight.double() * 2.0**e * (pool / synapses.pool) for synapses in layer.synapses]
    scaled += [value.double() * 2.0**e * pool for value in weights[len(layer.synapses) :]]
    bias = sum((value.double().flatten() for value in constants), torch.zeros(1, dtype=torch.float64))
    start = torch.zeros(1)
    if neuron is not None:
        bias, start = bias + neuron.bias.double().flatten(), neuron.start
    unit = 2**e * pool
    return Whole(e, pool, _range(scaled), _range([bias * unit]), unit, _range([start.double() * unit]))


def exponent(values: list[Tensor]) -> int | None:
    """The smallest e from 0 on with which all values, times 2^e, are whole; None if there is none up to ``FINEST``.

    From 0 on, as the threshold 2^e is to be whole too.
    """
    found = 0
    for value in values:
        while found <= FINEST and not _whole(value, found):
            found += 1
    return found if found <= FINEST else None


def _whole(value: Tensor, e: int) -> bool:
    scaled = value.detach().double() * 2.0**e
    return bool((scaled == scaled.round()).all())


def _range(values: list[Tensor]) -> tuple[int, int]:
    return (round(min(float(v.min()) for v in values)), round(max(float(v.max()) for v in values)))


def _weights_of(node: Node, graph: Graph) -> list[str]:
    return [name for name in node.refs if name in graph.tensors]
