"""Larger thresholds for the few channels that would spoil the one scale of their layer.

In whole numbers with one threshold, a channel whose threshold is small beside its weights (it hardly ever fires) needs
large numbers, and all other channels of its layer are left with few. Its threshold can be raised: it then says less
exactly what it has, which is little. With θ' = 2^k·θ the error of a channel's mean output is

    θ'²/12 · (4^−e · n · r² + 1/T²)

where the first part is from weights that are rounded to multiples of θ'·2^−e, n of them with rates r before them, and
the second from counting T steps. The e of the layer is that for which the sum over channels, each with the k that e
asks of it, is smallest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..graph import Graph, Node
from ..run.neurons import SpikingReLU
from .normalised import normalise_thresholds
from .shared_grids import largest_constants, meetings
from .weight_grids import Grid, grid_of

_SQUARE_RATE = 0.05
"""r²: mean square of the firing rates before a layer.

Of 0.002, 0.01, 0.05 and 0.2 this one kept most decisions of each of the three Fashion-MNIST networks, on 1,000 training
images at T = 8.
"""


def with_coarser_channels(
    graph: Graph,
    units: Mapping[str, SpikingReLU],
    neurons: Mapping[str, SpikingReLU],
    largest: int,
    most: int | None,
    timesteps: int,
) -> tuple[Graph, dict[str, SpikingReLU]]:
    """The normalised network with raised thresholds, normalised again.

    Thresholds that an activation was trained with are kept, and none goes above the activation's upper bound.

    Args:
        graph: Normalised.
        units: Its neurons, with thresholds of 1.
        neurons: The same neurons with the thresholds that they had.
        largest: Number that a weight can be.
        most: Number that a constant current can be; None for any.
        timesteps: T.
    """
    made = dict(units)
    for name in [node.name for node in graph.nodes if node.name in neurons]:
        raised = _raised(graph, name, made, neurons[name], largest, most, timesteps)
        if raised is None:
            continue
        neuron = made[name]
        neuron.threshold = raised.to(neuron.threshold)
        neuron.start = 0.5 + (neuron.start - 0.5) / neuron.threshold  # what it is ahead of θ/2 stays
        graph, made = normalise_thresholds(graph, made)
    return graph, made


def _raised(
    graph: Graph,
    name: str,
    units: Mapping[str, SpikingReLU],
    old: SpikingReLU,
    largest: int,
    most: int | None,
    timesteps: int,
) -> Tensor | None:
    """By which power of two each channel's threshold is to grow; None if none is."""
    grids = {node.name: grid for node in graph.nodes if (grid := grid_of(node, graph, largest)) is not None}
    meeting = next((m for m in meetings(graph, frozenset(grids)) if name in m.neurons), None)
    if meeting is None or len(meeting.neurons) > 1 or old.is_trained or not old.axis:
        return None
    node = graph.node(name)
    channels = (node.shape or ())[old.axis] if node is not None else None
    if channels is None:
        return None
    found = [_of_channels(grids[source].output, old.axis, channels) for source in meeting.synapses]
    if any(e is None for e in found):
        return None
    e = torch.stack([x for x in found if x is not None]).amin(0).double()
    if most is not None:
        constant = largest_constants(graph, grids, meeting, units).double()
        if constant.numel() not in (1, channels):
            return None
        e = torch.minimum(e, (most / constant.clamp(min=1e-30)).log2().floor().clamp(max=99))
    theta = old.threshold.flatten().double().cpu().expand(channels)
    limit = torch.full((channels,), float("inf"), dtype=torch.float64)
    if old.cap is not None:
        limit = (old.cap / old.options.max_spikes / theta).log2().floor().clamp(min=0)
    inputs = sum(_inputs(graph, graph.node(source), grids[source]) for source in meeting.synapses)
    best, chosen = math.inf, None
    for candidate in range(int(e.min()), int(e.max()) + 1):
        k = torch.minimum((candidate - e).clamp(min=0), limit)
        shared = float((e + k).min())
        error = float((theta * 2**k).square().sum()) * (4**-shared * inputs * _SQUARE_RATE + timesteps**-2)
        if error < best:
            best, chosen = error, k
    if chosen is None or not bool(chosen.any()):
        return None
    return old.spread((2**chosen).float())


def _of_channels(e: Tensor, axis: int, channels: int) -> Tensor | None:
    """The e of each channel of a current; None if it is laid out otherwise."""
    if e.numel() == 1:
        return e.flatten().cpu().expand(channels)
    if e.dim() < axis or e.shape[axis - 1] != channels or e.numel() != channels:
        return None
    return e.flatten().cpu()


def _inputs(graph: Graph, node: Node | None, grid: Grid) -> float:
    """How many weights an output has."""
    assert node is not None
    weight = graph.tensors[node.args[grid.place].name]
    return weight.numel() / max(len(weight), 1) if node.op != "aten.mul.Tensor" else 1.0
