"""Every layer sees step t's spikes at step t."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ....layers import kernels
from ....layers.kernels import Drive, Send
from ...graph import Node, function, leaves, map_leaves
from ...graph.rules import POOLS, Role
from ..arithmetic import Arithmetic
from ..graph_walk import Value
from ..neurons import SpikingReLU
from ..recording import Recorder, Watch, events_of
from ..spike_units import pools_in, unit_behind
from ..time_varying import (
    DeferredCurrent,
    DeferredFiring,
    DeferredSum,
    Timed,
    channels_last,
    column,
    first_result,
    offsets,
    real,
)


class Synchronous:
    """Every layer sees step t's spikes at step t; what a block of steps leaves behind, the next goes on from.

    Args:
        neurons: By node name.
        recorder: Told of every event.
        arithmetic: In what spikes are sent; None: float32.
    """

    def __init__(
        self,
        neurons: Mapping[str, SpikingReLU],
        recorder: Recorder | None = None,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.neurons, self.recorder, self.arithmetic = neurons, recorder, arithmetic
        self.watch: Watch | None = None
        self.only_last = False
        self.steps = 0
        self.elapsed = 0
        self.begun: Tensor | None = None  # steps that had passed when each sample began, (N,); None: none for all
        self.initial: dict[str, tuple[Tensor, ...]] = {}  # neurons that do not begin at rest, in runs from the start
        self.state: dict[str, Any] = {}
        self._units: dict[str, Tensor | None] = {}

    def go_on(self, recorder: Recorder | None, arithmetic: Arithmetic) -> Synchronous:
        """The same state, for a run that is told to another recorder."""
        self.recorder, self.arithmetic = recorder, arithmetic
        return self

    def begin(self, steps: int) -> None:
        """The next ``steps`` timesteps, after those that were begun before."""
        if not self.elapsed + self.steps:
            self.state.update(self.initial)
        self.elapsed += self.steps
        self.steps = steps

    def runs(self, total: int, length: int, only_last: bool) -> Iterator[int]:
        """Begin what gives the estimates after 1 to ``total`` steps, part by part, about ``length`` steps at once.

        Yields:
            How many estimates each part gives. ``only_last``: the last estimate alone, so 0 or 1.
        """
        self.only_last = only_last
        for start in range(0, total, length):
            self.begin(min(length, total - start))
            yield self.steps if not only_last else int(start + length >= total)

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the samples, which come first in every value; each may have several entries there."""

        def kept(x: Any) -> Any:
            return x[rows.repeat_interleave(len(x) // len(rows))] if isinstance(x, Tensor) else x

        self.state = pytree.tree_map(kept, self.state)

    def restart(self, rows: Tensor) -> None:
        """Put some samples, a mask ``(N,)``, back to the start; they come first in every value, as for ``keep``.

        Before the first step sums are 0, and so is a maximum of them; neurons are at rest.
        """
        now = self.elapsed + self.steps
        self.begun = torch.zeros(len(rows), dtype=torch.long, device=rows.device) if self.begun is None else self.begun
        self.begun = self.begun.masked_fill(rows, now)

        def cleared(x: Tensor, value: Tensor | None = None) -> Tensor:
            mask = rows.repeat_interleave(len(x) // len(rows)).reshape(-1, *[1] * (x.dim() - 1))
            return torch.where(mask, torch.zeros_like(x) if value is None else value.to(x.dtype), x)

        for name, state in self.state.items():
            if name in self.neurons:
                self.state[name] = tuple(map(cleared, state, self.neurons[name].rest))
            else:
                self.state[name] = pytree.tree_map(cleared, state)

    def arriving(self, node: Node, name: str, x: Value) -> Value:
        return x

    def spike(self, node: Node, x: Value) -> Value:
        if self.watch is not None:
            self.watch(node, x)
        neuron = self.neurons[node.name]
        send, carried = self._send(neuron)
        sent, self.state[node.name] = neuron.run(self._drive(neuron, x), self.state.get(node.name), send)
        found = Timed(sent, carried)
        if self.recorder is not None:
            spikes = sent / neuron.threshold if carried is None else sent * neuron.options.finest
            self.tell(node, neuron.events(spikes.round_() if neuron.options.finest == 1 else spikes), found)
        return found

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        """out_t = F_t − F_{t−1} for F_t = t·f(mean of the first t inputs): the sum over time is T·f(mean).

        A maximum has f(c·x) = c·f(x), so there F_t = f(sums), where a constant c has the sum t·c: exact in whole
        spikes, and nothing is sent by rounding where no sum changes.

        F_t is 0 where f has no finite value, as the logarithm of a mean that no spike has reached: what is infinite
        could never be taken back.
        """
        if isinstance(args[0], DeferredFiring):
            if self._fires_with(node, args[0]):
                return self._fired(node, args, kwargs)
            args = [self.spike(args[0].node, args[0].current), *args[1:]]
        timed = [a for a in leaves((args, kwargs)) if isinstance(a, Timed)]
        if not timed:
            return first_result(apply(*args, **kwargs))
        found = self._pooled(node, args, kwargs) if node.op in POOLS else self._differenced(node, apply, args, kwargs)
        if self.recorder is not None and node.role == Role.MAX:
            sent, unit = found.real, self._unit(node, timed[0])
            total = sent if unit is not None else self._sum(f"{node.name}:told", sent)
            self.tell(node, events_of(sent, unit, total), found)
        return found

    def _unit(self, node: Node, x: Timed) -> Tensor | None:
        if node.name not in self._units:
            self._units[node.name] = unit_behind(node, self.neurons.get(node.refs[0]), x.values.shape[2:])
        return self._units[node.name]

    def _fires_with(self, node: Node, charge: DeferredFiring) -> bool:
        """Whether a max-pool takes these neurons' spikes as they are sent, whole numbers or not."""
        carried = self._send(self.neurons[charge.node.name])[1]
        return carried is None or pools_in(carried, node)

    def _fired(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Timed:
        """Neurons and the max-pool behind them at once."""
        charge, fn = args[0], function(node.op)
        neuron = self.neurons[charge.node.name]
        send, carried = self._send(neuron)
        increments, self.state[charge.node.name], self.state[node.name] = kernels.pooled_scan(
            neuron.rule,
            self._drive(neuron, charge.current),
            neuron.threshold,
            self.state.get(charge.node.name, neuron.rest),
            send,
            lambda v: fn(v, *args[1:], **kwargs),
            self.state.get(node.name),
            _geometry(node),
        )
        return Timed(increments, carried)

    def _pooled(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Timed:
        """A max-pool, in the form in which the spikes come if one unit is positive and the same in each window."""
        x: Timed = args[0]
        if x.offset is not None or (x.scale is not None and not pools_in(x.scale, node)):
            x = real(x)
        fn = function(node.op)
        values, self.state[node.name] = kernels.pooled_increments(
            x.values, lambda v: fn(v, *args[1:], **kwargs), self.state.get(node.name), _geometry(node)
        )
        return x.like(values)

    def _differenced(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Timed:
        args, kwargs = (map_leaves(lambda a: real(a) if isinstance(a, Timed) else a, tree) for tree in (args, kwargs))
        timed = [a.values for a in leaves((args, kwargs)) if isinstance(a, Timed)]
        sums = iter([self._sum(f"{node.name}:{i}", values) for i, values in enumerate(timed)])
        maximum = node.role == Role.MAX

        def taken(a: Any) -> Any:
            if isinstance(a, Timed):
                total = next(sums)
                return Timed(total if maximum else total / self._clock(total).clamp(min=1))
            if maximum and isinstance(a, Tensor):
                if self.begun is not None:  # each sample has a time of its own, and so a value of its own
                    a = a.reshape(*[1] * (timed[0].dim() - 1 - a.dim()), *a.shape)
                return Timed(a.unsqueeze(0) * self._clock(a.unsqueeze(0)))
            return a

        result = first_result(apply(*map_leaves(taken, args), **map_leaves(taken, kwargs))).values
        total = result if maximum else (result * self._clock(result)).nan_to_num_(0, 0, 0)
        values = torch.empty_like(total)
        torch.sub(total[1:], total[:-1], out=values[1:])
        torch.sub(total[0], self.state.get(node.name, torch.zeros_like(total[0])), out=values[0])
        self.state[node.name] = total[-1].clone()
        return Timed(values)

    def decode(self, name: str, x: Value) -> Value:
        """Mean over the steps so far."""
        key = f"{name}:decoded"
        clock = self._clock(x.values)
        if self.only_last:
            total, clock = self._total(key, x.values).unsqueeze(0), clock[-1:]
        else:
            total = self._sum(key, x.values)
        return Timed(x.like(total / clock.clamp(min=1)).real)

    def _send(self, neuron: SpikingReLU) -> tuple[Send, Tensor | None]:
        """The form of spikes, and what one of them then carries."""
        return (Send(neuron.threshold), None) if self.arithmetic is None else self.arithmetic.send(neuron)

    def _drive(self, neuron: SpikingReLU, x: Value) -> Drive:
        """What the neurons get in each step."""
        if isinstance(x, Tensor):
            return Drive(channels_last(x).unsqueeze(0), self.steps, bias=neuron.bias)
        bias = neuron.bias if self.arithmetic is None else self.arithmetic.bias(neuron, offsets(x))
        first, second = (x.first, x.second) if isinstance(x, DeferredSum) else (x, None)
        extra, extra_scale = (None, None) if second is None else (second.values, second.scale)
        if isinstance(first, DeferredCurrent):
            return Drive(first.spikes, self.steps, first.scale, extra, extra_scale, bias, first.synapses)
        return Drive(first.values, self.steps, first.scale, extra, extra_scale, bias)

    def tell(self, node: Node, events: Tensor, sent: Timed) -> None:
        """Tell the recorder of a block of events."""
        assert self.recorder is not None
        self.recorder(node, events, sent.real)

    def _total(self, key: str, values: Tensor) -> Tensor:
        """What ``_sum`` ends with."""
        total = self.state.get(key)
        for value in values.unbind(0):
            value = value if value.dtype.itemsize >= 4 else value.float()
            total = value if total is None else total + value
        assert isinstance(total, Tensor)
        self.state[key] = total
        return total

    def _sum(self, key: str, values: Tensor) -> Tensor:
        # In order of time and from the carry on: equal spikes give bitwise equal sums, in blocks of any size.
        total = torch.empty_like(values, dtype=torch.float32 if values.dtype.itemsize < 4 else values.dtype)
        before = self.state.get(key)
        for value, out in zip(values.unbind(0), total.unbind(0), strict=True):
            if before is None:
                out.copy_(value)
            else:
                torch.add(before, value, out=out)
            before = out
        self.state[key] = total[-1].clone()
        return total

    def _clock(self, like: Tensor) -> Tensor:
        """Steps of each sample so far, laid out to broadcast over ``(T, N, ...)``."""
        return self._own_time(torch.arange(self.elapsed + 1, self.elapsed + self.steps + 1, device=like.device), like)

    def _own_time(self, clock: Tensor, like: Tensor) -> Tensor:
        clock = column(clock, like)
        if self.begun is None:
            return clock
        # A value that is the same for all samples, (T, 1, ...), has a time for each of them, too.
        each = max(like.shape[1] // len(self.begun), 1)
        return clock - self.begun.repeat_interleave(each).reshape(1, -1, *[1] * (like.dim() - 2))


def _geometry(node: Node) -> Any:
    """Kernel, stride, padding and dilation of a plain max-pool of images ``(N, C, H, W)``, else None."""
    if node.op != "aten.max_pool2d.default" or len(node.shape or ()) != 4:
        return None
    given = [node.args[i] if len(node.args) > i else None for i in range(1, 6)]
    kernel, stride, padding, dilation, ceil = given
    pairs = [_two(kernel), _two(stride or kernel), _two(padding or 0), _two(dilation or 1)]
    return None if ceil else tuple(pairs)


def _two(value: Any) -> tuple[int, int]:
    numbers = [value] if isinstance(value, int) else list(value)
    return (numbers[0], numbers[-1])
