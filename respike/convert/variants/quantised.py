"""Weights and thresholds in whole numbers, as chips hold them, on a grid of its own for each output channel.

In the normalised network θ is 1. The weights w of a channel become round(w · 2^e) · 2^−e, with the largest e for which
the whole numbers fit: so the channel's weights are whole numbers and its threshold is the whole number 2^e, both in
units of 2^−e. Where the currents of several layers meet, the finest of their units counts. As all are powers of two,
float32 adds them up without rounding, and the network gives to the bit the spikes that a chip with such synapses gives.

With ``scale="layer"`` there is one e for all channels of a layer, and one for all layers whose currents meet in the
same neurons: so each layer of neurons has one threshold, 2^e, and weights, biases and V_0 count in its units. A few
channels get larger thresholds for it (``coarser_channels``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..checks import one_of, whole
from ..errors import ConversionError
from ..graph import Graph, Node, Ref, Rewriter, rewrite
from ..passes import prune
from ..run.neurons import SpikingReLU
from .coarser_channels import with_coarser_channels
from .normalised import normalise_thresholds
from .shared_grids import shared_grids
from .weight_grids import grid_of, weight_at

SCALES = ("channel", "layer")
"""What may have a grid of its own."""


def quantise(
    graph: Graph,
    neurons: Mapping[str, SpikingReLU],
    timesteps: int,
    bits: int,
    scale: str = "channel",
    bias_bits: int | None = None,
) -> tuple[Graph, dict[str, SpikingReLU]]:
    """The normalised network with whole-number weights of so many bits, sign included, and thresholds to match.

    Args:
        graph: With roles and weights; not changed.
        neurons: Its layers of neurons, by node name; not changed.
        timesteps: T that it runs.
        bits: From 2 to 16.
        scale: One of ``SCALES``.
        bias_bits: Of the neurons' constant currents; None for as many as they need.

    Raises:
        ConversionError: another number of bits, or another scale.
    """
    if bias_bits is not None:
        bias_bits = whole("bias_bits", bias_bits, 2, 32, " or None")
        if scale == "channel":
            raise ConversionError('bias_bits requires scale="layer"')
    bits, scale = whole("bits", bits, 2, 16), one_of("scale", scale, SCALES)
    graph, units = normalise_thresholds(graph, neurons)
    largest, most = 2 ** (bits - 1) - 1, None if bias_bits is None else 2 ** (bias_bits - 1) - 1
    if scale == "layer":
        graph, units = with_coarser_channels(graph, units, neurons, largest, most, timesteps)
    grids = {node.name: grid for node in graph.nodes if (grid := grid_of(node, graph, largest)) is not None}
    shared: Mapping[str, int] = {}
    if scale == "layer":
        grids, shared = shared_grids(graph, grids, units, most)

    def step(node: Node, rewriter: Rewriter) -> Ref:
        grid = grids.get(node.name)
        if grid is None:
            return rewriter.keep(node)
        args = list(node.args)
        places = {grid.place: grid.weight}
        if grid.bias is not None:
            places[grid.bias] = grid.output.flatten()
        for place, e in places.items():
            value = rewriter.tensors[args[place].name]
            args[place] = rewriter.tensor(f"{node.name}_whole", _rounded(value, e))
        return rewriter.keep(replace(node, args=tuple(args)))

    for name, neuron in units.items():
        if scale == "layer":
            e = torch.tensor(shared[name], device=neuron.bias.device) if name in shared else None
        else:
            e = _finest([grids[source.name].output for source in _sources(name, graph)], neuron)
        if e is not None:
            neuron.bias, neuron.start = _rounded(neuron.bias, e), _rounded(neuron.start, e)
    return prune(rewrite(graph, step)), units


def _finest(found: list[Tensor], neuron: SpikingReLU) -> Tensor | None:
    """The finest e of each of the neurons' channels; None if no synapses are known."""
    if not found:
        return None
    e = torch.stack(torch.broadcast_tensors(*found)).amax(0)
    other = [i for i in range(e.dim()) if i != neuron.axis - 1]
    return e.amax(other, keepdim=True) if other else e


def _rounded(value: Tensor, exponent: Tensor) -> Tensor:
    # A power of two: dividing and multiplying by it is exact.
    unit = torch.ldexp(torch.ones(exponent.shape, dtype=value.dtype, device=value.device), -exponent)
    return (value / unit).round() * unit


def _sources(name: str, graph: Graph) -> list[Node]:
    """The synapses whose currents a layer of neurons adds up; empty if it gets something else besides."""
    node = graph.node(name)
    queue, found = [] if node is None else [node.args[0].name], []
    while queue:
        source = graph.node(queue.pop())
        if source is None:
            return []
        if source.op == "aten.add.Tensor" and not source.kwargs and len(source.refs) == 2:
            queue.extend(source.refs)
        elif weight_at(source, graph) is not None:
            found.append(source)
        else:
            return []
    return found
