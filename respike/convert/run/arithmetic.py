"""In what the synapses compute: float32, bfloat16, or 8-bit whole numbers.

A spike is a small whole number, which all three hold exactly. In the last two it is sent as such, and what it carries
(θ, one for each channel) is multiplied into the weights that it meets, once, before those are rounded; so it is only
weights that lose anything, and bfloat16 rounds the sums as well. What is no spike (the input, means, what layers
without neurons between them hand on) is computed in float32.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from functools import reduce

import torch
from torch import Tensor

from ...layers.kernels import Send
from ..errors import ConversionError
from ..graph import Node, Ref, function
from ..graph.channel_groups import layer_groups
from ..options import NeuronOptions, Precision
from .event_synapses import event_synapses
from .neurons import SpikingReLU
from .time_varying import DeferredCurrent, Timed
from .whole_synapses import WholeSynapses, has_tiles

HELD = {"bfloat16": 256, "int8": 127}
"""Up to which number each holds every whole number; spikes are counted in float32 up to any that neurons may send."""

ROUNDED = ("aten.linear.default", "aten.conv1d.default", "aten.conv2d.default")
"""The synapses that other types than float32 compute."""


_LOCK = threading.Lock()
"""Held while something is made ready that all pieces of a batch use."""

Synapses = Callable[[Tensor], DeferredCurrent]
"""Spikes ``(T, N, ...)``, whole numbers, to the currents that they will cause."""


def holds(precision: str, options: NeuronOptions) -> bool:
    """Whether what such neurons send in a step, in their smallest spikes, is exact in a precision."""
    return options.max_spikes / options.finest <= HELD.get(precision, math.inf)


def may_add_up_events(precision: str, device: torch.device) -> bool:
    """Whether layers may add up events: not where the processor multiplies tiles of bfloat16, which is quicker."""
    return precision != "bfloat16" or not has_tiles(device)


def check_holds(precision: str, options: NeuronOptions, where: str = "a neuron") -> None:
    """Refuse a precision in which what neurons send is not exact.

    Args:
        precision: One of ``PRECISIONS``; anything else is not judged.
        options: Which neurons.
        where: Their name, for the message.

    Raises:
        ConversionError: they may send more spikes a step than it holds.
    """
    if not holds(precision, options):
        raise ConversionError(
            f"{where} sends up to {options.max_spikes / options.finest:.0f} smallest spikes in a step, and "
            f"precision={precision!r} holds whole numbers up to {HELD[precision]} exactly; "
            "take precision='float32', or fewer max_spikes or levels"
        )


class Arithmetic:
    """How a network's neurons send and its synapses compute.

    Args:
        precision: One of ``PRECISIONS``.
        weights: The graph's tensors.
        by_events: Names of synapses that add up events.
        compact: Neurons whose spikes only these read: sent in 8 bits, whatever the precision.
    """

    def __init__(
        self,
        precision: Precision,
        weights: Mapping[str, Tensor],
        by_events: Set[str] = frozenset(),
        compact: Set[SpikingReLU] = frozenset(),
    ) -> None:
        device = next(iter(weights.values())).device if weights else torch.device("cpu")
        if not may_add_up_events(precision, device):
            by_events, compact = frozenset(), frozenset()
        self.precision = precision
        self.weights, self.by_events, self.compact = weights, by_events, compact
        self.kind = {"float32": None, "bfloat16": torch.bfloat16, "int8": torch.int8}[precision]
        self._ready: dict[tuple[str, bool, bool], Synapses | None] = {}
        self._scales: dict[str, Tensor] = {}
        self._sends: dict[SpikingReLU, tuple[Send, Tensor]] = {}
        self._biases: dict[tuple[int, ...], Tensor] = {}

    def send(self, neuron: SpikingReLU) -> tuple[Send, Tensor | None]:
        """The form in which neurons send their spikes, and what one of these then carries."""
        kind = self.kind
        if neuron in self.compact and holds("int8", neuron.options):
            kind = torch.int8
        if kind is None:
            return Send(neuron.threshold), None
        if neuron not in self._sends:
            finest = neuron.options.finest
            self._sends[neuron] = Send(1.0 / finest, kind), neuron.threshold * finest
        return self._sends[neuron]

    def bias(self, neuron: SpikingReLU, offsets: Sequence[Tensor]) -> Tensor:
        """The constant current of neurons behind synapses with constant parts, added up once."""
        if not offsets:
            return neuron.bias
        key = (id(neuron), *map(id, offsets))  # of tensors that stay as long as this does
        if key not in self._biases:
            self._biases[key] = neuron.bias + reduce(torch.add, offsets)
        return self._biases[key]

    def synapses(self, node: Node, x: Timed) -> DeferredCurrent | None:
        """The currents that spikes cause behind a node's weights; None where the operation itself says them."""
        if x.offset is not None or node.op not in ROUNDED:
            return None
        if (x.plain or self.kind is None) and node.name not in self.by_events:
            return None
        key = node.name, x.scale is None, x.plain
        with _LOCK:
            if key not in self._ready:
                self._ready[key] = self._prepare(node, x.scale, x.plain)
        ready = self._ready[key]
        return None if ready is None else ready(x.values)

    def moved(self, node: Node, scale: Tensor, move: Callable[[Tensor], Tensor]) -> Tensor:
        """What ``scale`` becomes where an operation only moves values; found out once."""
        with _LOCK:
            if node.name not in self._scales:
                self._scales[node.name] = move(scale)
        return self._scales[node.name]

    def _prepare(self, node: Node, scale: Tensor | None, plain: bool) -> Synapses | None:
        name, bias = node.args[1], node.args[2] if len(node.args) > 2 else None
        if not isinstance(name, Ref) or name.name not in self.weights or isinstance(bias, Tensor):
            return None
        if bias is not None and bias.name not in self.weights:
            return None
        given = self.weights[name.name]
        weight = given if scale is None else carried(node, given, scale)
        if weight is None:
            return None
        added = None if bias is None else self.weights[bias.name]
        if plain or self.kind is None or (self.kind == torch.bfloat16 and node.name in self.by_events):
            sums = event_synapses(node, weight if plain or self.kind is None else weight.bfloat16().float(), added)

            def by_events(spikes: Tensor) -> DeferredCurrent:
                return DeferredCurrent(spikes.float() if spikes.dtype == torch.bfloat16 else spikes, sums)

            return by_events  # bfloat16 has no kernel
        offset = None if added is None else _row(node, added)
        if self.kind == torch.int8:
            integers = WholeSynapses(node, weight, node.name in self.by_events)
            step = _row(node, integers.step)
            return lambda spikes: DeferredCurrent(spikes, integers.way(spikes), step, offset)
        rounded = weight.bfloat16()
        if rounded.dim() == 4:
            rounded = rounded.contiguous(memory_format=torch.channels_last)
        fn, rest = function(node.op), node.args[3:]

        def apply(spikes: Tensor) -> Tensor:
            found: Tensor = fn(spikes, rounded, None, *rest, **node.kwargs)
            return found

        return lambda spikes: DeferredCurrent(spikes, apply, None, offset)


def carried(node: Node, weight: Tensor, scale: Tensor) -> Tensor | None:
    """The weights for inputs in units of ``scale``; None if that is not one number for each input channel."""
    if node.op == "aten.linear.default":
        alone = all(n == 1 for n in scale.shape[:-1]) and scale.dim() > 0
        return weight * scale.reshape(1, -1) if alone else None
    if any(n != 1 for n in scale.shape[1:]) or scale.dim() != weight.dim() - 1:
        return None
    groups = layer_groups(node)
    each = scale.flatten().expand(groups * weight.shape[1]).reshape(groups, 1, weight.shape[1])
    each = each.reshape(*each.shape, *[1] * (weight.dim() - 2))
    found: Tensor = (weight.unflatten(0, (groups, -1)) * each).flatten(0, 1)
    return found


def _row(node: Node, values: Tensor) -> Tensor:
    """One number for each output channel, laid out to broadcast over ``(N, ...)``."""
    return values if node.op == "aten.linear.default" else values.reshape(-1, *[1] * (len(node.shape or ()) - 2))
