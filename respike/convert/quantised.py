"""Weights and thresholds in whole numbers, as chips hold them, on a grid of its own for each output channel.

In the normalised network θ is 1. The weights w of a channel become round(w · 2^e) · 2^−e, with the largest e for which
the whole numbers fit: so the channel's weights are whole numbers and its threshold is the whole number 2^e, both in
units of 2^−e. Where the currents of several layers meet, the finest of their units counts. As all are powers of two,
float32 adds them up without rounding, and the network gives to the bit the spikes that a chip with such synapses gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import ConversionError
from .graph import Graph, Node, Ref, Rewriter
from .neurons import SpikingReLU
from .normalised import normalise_thresholds
from .passes import prune
from .rules import LINEAR, Role

if TYPE_CHECKING:
    from .network import SpikingNetwork

_BY_CHANNEL = frozenset({"aten.linear.default", *(f"aten.conv{n}d.default" for n in (1, 2, 3))})
_FINEST = 20
"""Largest e: float32 counts to 2^24."""


def quantise(snn: SpikingNetwork, bits: int) -> SpikingNetwork:
    """The normalised network with whole-number weights of so many bits, sign included, and thresholds to match.

    Args:
        snn: Not changed.
        bits: From 2 to 16.

    Raises:
        ConversionError: another number of bits.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ConversionError(f"bits must be a whole number from 2 to 16, got {bits!r}")
    made = normalise_thresholds(snn)
    graph = replace(made.graph, tensors=dict(made.weights.named_buffers()))
    grids = _grids(graph, 2 ** (bits - 1) - 1)

    def step(node: Node, rewriter: Rewriter) -> Ref:
        place = _weight_at(node, graph)
        if place is None:
            return rewriter.keep(node)
        args, grid = list(node.args), grids[node.name]
        for at in (place, 2) if node.op in _BY_CHANNEL else (place,):
            if len(args) > at and isinstance(args[at], Ref):
                value = rewriter.tensors[args[at].name]
                args[at] = rewriter.tensor(f"{node.name}_whole", _rounded(value, _spread(grid, value, node)))
        return rewriter.keep(replace(node, args=tuple(args)))

    neurons: dict[str, SpikingReLU] = dict(made.neurons.items())  # type: ignore[arg-type]
    for name, neuron in neurons.items():
        found = [grids[source.name] for source in _sources(name, graph)]
        if len({grid.numel() for grid in found} - {1}) < 2 and found:
            finest = torch.stack(torch.broadcast_tensors(*found)).amax(0)
            grid = neuron.spread(finest) if finest.numel() > 1 else finest.reshape([1] * neuron.bias.dim())
            neuron.bias, neuron.start = _rounded(neuron.bias, grid), _rounded(neuron.start, grid)
    result = made.like(prune(graph.rewrite(step)), neurons)
    result.precision, result.precision_choice = "float32", None  # in which these whole numbers are exact
    return result


def _rounded(value: Tensor, exponent: Tensor) -> Tensor:
    # A power of two: dividing and multiplying by it is exact.
    unit = torch.ldexp(torch.ones(exponent.shape, dtype=value.dtype, device=value.device), -exponent)
    return (value / unit).round() * unit


def _grids(graph: Graph, largest: int) -> dict[str, Tensor]:
    """The e of each node with weights: for each output channel, or one."""
    grids = {}
    for node in graph.nodes:
        place = _weight_at(node, graph)
        if place is not None:
            weight = graph.tensors[node.args[place].name].abs()
            most = weight.flatten(1).amax(1) if node.op in _BY_CHANNEL else weight.amax().reshape(1)
            grids[node.name] = (largest / most).log2().floor().clamp(max=_FINEST).to(torch.int32)
    return grids


def _weight_at(node: Node, graph: Graph) -> int | None:
    """Which argument of a node are its synapses' weights; None if it has none."""
    rule = LINEAR.get(node.op)
    if node.role != Role.LINEAR or rule is None or not (rule.weighted or node.op == "aten.mul.Tensor"):
        return None
    found = [
        i
        for i, a in enumerate(node.args[:2])
        if isinstance(a, Ref) and a.name in graph.tensors and graph.tensors[a.name].is_floating_point()
    ]
    return found[0] if len(found) == 1 else None


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
        elif _weight_at(source, graph) is not None:
            found.append(source)
        else:
            return []
    return found


def _spread(grid: Tensor, value: Tensor, node: Node) -> Tensor:
    """The e laid out to go with a weight, a bias or a factor ``(C, 1, ...)``."""
    if grid.numel() == 1:
        return grid.reshape([1] * value.dim())
    if node.op in _BY_CHANNEL:
        return grid.reshape(-1, *[1] * (value.dim() - 1))
    if value.numel() == grid.numel() and grid.numel() in value.shape:
        return grid.reshape(value.shape)
    return grid.amin().reshape([1] * value.dim())
