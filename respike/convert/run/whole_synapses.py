"""Synapses of 8 bits: whole-number spikes times whole-number weights, added up without rounding.

A weight is a whole number from −127 to 127 times a step, one step for each output channel, as on an 8-bit chip. Up to
2^24 float32 counts without gaps, enough for binary spikes behind 130,000 synapses of a neuron; so far a processor with
8-bit units and one without give the same sums, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..graph import Node, function
from ..graph.channel_groups import layer_groups
from .event_synapses import event_synapses, sparse_below

LARGEST = 127
GAPLESS = 2**24
"""Up to which float32 counts."""
LOOKED_AT = 8
"""Images in which active spikes are counted."""


class WholeSynapses:
    """A linear layer or convolution with 8-bit weights.

    Args:
        node: The layer; its bias is left out.
        weight: Its weights for spikes of size 1.
        by_events: Whether it may add up events, which gives the same sums, where that is quicker.

    Attributes:
        weight: Whole numbers, int8.
        step: What one of them stands for, one for each output channel.
    """

    def __init__(self, node: Node, weight: Tensor, by_events: bool = False) -> None:
        largest = weight.flatten(1).abs().amax(1)
        self.step = torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))
        column = self.step.reshape(-1, *[1] * (weight.dim() - 1))
        self.weight = (weight / column).round().to(torch.int8)
        self.node = node
        self._plain = _plain(node, self.weight)
        self._units = _packed_convolution(node, self.weight) if by_units(node, weight.device) else None
        self._events = None
        self._largest = int(self.weight.flatten(1).abs().sum(1).max())
        self._below = events_below(node, weight, by_events)
        if self._below:
            self._events = event_synapses(node, self.weight, None)

    def way(self, spikes: Tensor) -> Callable[[Tensor], Tensor]:
        """What makes of spikes ``(M, ...)``, int8, their sums, whole numbers in float32.

        Args:
            spikes: Those to come, ``(T, N, ...)``.
        """
        if self._events is not None and (self._units is None or self._is_for_events(spikes.flatten(0, 1))):
            return self._events
        return self._units or self._plain

    def _is_for_events(self, spikes: Tensor) -> bool:
        """What is active may decide, as both ways give the same sums: as long as float32 counts them without gaps."""
        if not len(spikes) or _active(spikes) >= self._below:
            return False
        largest = max(-int(spikes.amin()), int(spikes.amax()))  # aminmax takes thirty times as long
        return largest * self._largest < GAPLESS


def _active(spikes: Tensor) -> float:
    """The share that is not 0 in some of them."""
    some = spikes[:: max(1, len(spikes) // LOOKED_AT)].numpy()
    return int(np.count_nonzero(some)) / max(1, some.size)  # torch's own takes six times as long


def _plain(node: Node, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """The same sums in float32, for processors without 8-bit units and operations without a spelling for them."""
    fn, exact = function(node.op), weight.float()
    return lambda x: fn(x.float(), exact, None, *node.args[3:], **node.kwargs)


def by_units(node: Node, device: torch.device) -> bool:
    """Whether 8-bit units of the processor can multiply."""
    return node.op == "aten.conv2d.default" and _has_units(device)


def events_below(node: Node, weight: Tensor, by_events: bool) -> float:
    """The share of active spikes below which events are the quickest way of a layer: 0 for never, 1 for always.

    Args:
        node: The layer.
        weight: Its weights.
        by_events: Whether it may add up events.
    """
    if not by_events or not by_units(node, weight.device):
        return float(by_events)
    return 0.0 if has_tiles(weight.device) else sparse_below(node, weight)


@cache
def has_tiles(device: torch.device) -> bool:
    """Whether the processor multiplies tiles of bfloat16 and of 8 bits (AMX), many times as quick as vectors."""
    tells = getattr(torch.cpu, "_is_amx_tile_supported", None)  # no public API
    return device.type == "cpu" and tells is not None and bool(tells())


@cache
def _has_units(device: torch.device) -> bool:
    """Whether torch has 8-bit kernels for this device that count as ours do: tried out, as they are no public API."""
    if device.type != "cpu" or not torch.cpu._is_vnni_supported():
        return False
    x = torch.tensor([[[[-2, 1], [0, 3]]]], dtype=torch.int8)
    node = Node("", "aten.conv2d.default", (None, None, None, [1, 1], [1, 1]), shape=(None, 1, 2, 2))
    weight = torch.arange(-4, 5, dtype=torch.int8).reshape(1, 1, 3, 3)
    try:
        return torch.equal(_packed_convolution(node, weight)(x), _plain(node, weight)(x))
    except (AttributeError, RuntimeError, TypeError):
        return False


def _packed_convolution(node: Node, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """The convolution by oneDNN, whose inputs are from 0 to 255: −128 becomes 0."""
    stride, padding, dilation = (_pair(node, i, d) for i, d in ((3, 1), (4, 0), (5, 1)))
    groups, channels = layer_groups(node), len(weight)
    ones, zeros = torch.ones(channels), torch.zeros(channels, dtype=torch.int64)
    ops: Any = torch.ops.onednn
    packed = ops.qconv_prepack(weight, ones, 1.0, 128, stride, padding, dilation, groups, None)
    convolve = partial(
        ops.qconv2d_pointwise, w_scale=ones, w_zero_point=zeros, bias=None, stride=stride, padding=padding
    )

    def apply(x: Tensor) -> Tensor:
        shifted = (x.contiguous(memory_format=torch.channels_last).view(torch.uint8)) ^ 128
        found: Tensor = convolve(
            shifted,
            1.0,
            128,
            packed,
            dilation=dilation,
            groups=groups,
            output_scale=1.0,
            output_zero_point=0,
            output_dtype=torch.float32,
            attr="none",
            scalars=[],
            algorithm="",
        )
        return found

    return apply


def _pair(node: Node, index: int, default: int) -> list[int]:
    value = node.args[index] if len(node.args) > index else default
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * 2 if len(numbers) == 1 else numbers
