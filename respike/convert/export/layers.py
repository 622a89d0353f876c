"""The torch layer that an operation of a graph is, where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...layers import OfSums, RateNeuron
from ..graph import Node, Ref
from ..run.neurons import SpikingReLU

_CONVOLUTIONS: dict[str, type[nn.Module]] = {
    "aten.conv1d.default": nn.Conv1d,
    "aten.conv1d.padding": nn.Conv1d,
    "aten.conv2d.default": nn.Conv2d,
    "aten.conv2d.padding": nn.Conv2d,
    "aten.conv3d.default": nn.Conv3d,
    "aten.conv3d.padding": nn.Conv3d,
}
_MAX_POOLS: dict[str, type[nn.Module]] = {
    "aten.max_pool1d.default": nn.MaxPool1d,
    "aten.max_pool2d.default": nn.MaxPool2d,
    "aten.max_pool3d.default": nn.MaxPool3d,
}


def weighted_layer(node: Node, parameters: Mapping[str, nn.Parameter]) -> nn.Module | None:
    """A linear layer or convolution with weights of its own, None if the node is none.

    Args:
        node: Of the graph.
        parameters: The graph's tensors by name; the layer holds them and no copies.
    """
    args = [*node.args, *[None] * 7]
    weight, bias = (parameters.get(a.name) if isinstance(a, Ref) else None for a in args[1:3])
    if weight is None or (args[2] is not None and bias is None) or node.kwargs:
        return None
    if node.op == "aten.linear.default":
        made: Any = nn.Linear(1, 1, bias=bias is not None, device="meta")
        made.in_features, made.out_features = weight.shape[1], weight.shape[0]
    elif node.op in _CONVOLUTIONS:
        groups = 1 if args[6] is None else args[6]
        made = _CONVOLUTIONS[node.op](
            weight.shape[1] * groups,
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=_tuple(args[3], 1),
            padding=args[4] if isinstance(args[4], str) else _tuple(args[4], 0),
            dilation=_tuple(args[5], 1),
            groups=groups,
            bias=bias is not None,
            device="meta",
        )
    else:
        return None
    made.weight, made.bias = weight, bias
    layer: nn.Module = made
    return layer


def max_pool(node: Node) -> OfSums | None:
    """A max-pool over the sums of spikes, None if the node is none."""
    if node.op not in _MAX_POOLS:
        return None
    kernel, stride, padding, dilation, ceil = [*node.args[1:], *[None] * 5][:5]
    pool = _MAX_POOLS[node.op](
        _tuple(kernel, 1),
        _tuple(stride, 1) if stride else None,
        _tuple(padding, 0),
        _tuple(dilation, 1),
        ceil_mode=bool(ceil),
    )
    return OfSums(pool)


def neuron_layer(neuron: SpikingReLU) -> RateNeuron:
    """A layer of neurons with the same thresholds, biases and potentials."""
    options = neuron.options
    return RateNeuron(
        neuron.threshold,
        neuron.bias,
        neuron.start,
        options.max_spikes,
        signed=options.takes_back,
        levels=options.levels if options.neuron == "multi_threshold" else 1,
        tau_mem=options.tau_mem if options.neuron == "lif" else None,
        floor=options.floor,
        two_sided=neuron.two_sided,
    ).to(neuron.threshold.device)


def parameter(value: Tensor) -> nn.Parameter:
    """A weight as the engine holds it: kernels laid out by channels last, so that sums have its order."""
    kept = value.detach().clone(memory_format=torch.contiguous_format)
    return nn.Parameter(kept.contiguous(memory_format=torch.channels_last) if kept.dim() == 4 else kept)


def _tuple(value: Any, otherwise: int) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(value) if len(value) > 1 else value[0]
    return otherwise if value is None else value
