"""What the nodes that hold time do: as the ANN, synchronously, or layer by layer; ``pipelined.py`` lies between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from .execute import Timed, Value, Walk
from .graph import Graph, Node, function, leaves, map_leaves
from .neurons import SpikingReLU
from .rules import Role

Recorder = Callable[[Node, Tensor, Tensor], None]
"""Called as ``recorder(node, events, values)``: events ``(T, N, ...)`` and what they carry in each step.

Where every T is a run of its own, an entry holds the events of the whole run and what they carry on average.
"""


def _first(result: Value) -> Value:
    """The values of an operation that gives values and indices."""
    return result[0] if isinstance(result, (list, tuple)) else result


class Analog:
    """The ANN itself: nothing varies in time."""

    steps = 1

    def spike(self, node: Node, x: Value) -> Value:
        return function(node.op)(x, **node.kwargs)

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        return apply(*args, **kwargs)

    def decode(self, name: str, x: Value) -> Value:
        return x


def evaluate_graph(graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """What the graph computes as an ANN: the tensors among its outputs."""
    walk = Walk(graph, graph.tensors, inputs)
    walk.run(graph.nodes, Analog())
    return [x for x in walk.outputs(Analog()) if isinstance(x, Tensor)]


class Synchronous:
    """Every layer sees step t's spikes at step t; what a block of steps leaves behind, the next goes on from.

    Args:
        neurons: By node name.
        recorder: Told of every event.
    """

    def __init__(self, neurons: Mapping[str, SpikingReLU], recorder: Recorder | None = None) -> None:
        self.neurons = neurons
        self.recorder = recorder
        self.steps = 0
        self.elapsed = 0
        self.state: dict[str, Any] = {}

    def begin(self, steps: int) -> None:
        """The next ``steps`` timesteps, after those that were begun before."""
        self.elapsed += self.steps
        self.steps = steps

    def runs(self, total: int, length: int, only_last: bool) -> Iterator[int]:
        """Begin what gives the estimates after 1 to ``total`` steps, part by part, about ``length`` steps at once.

        Yields:
            How many estimates each part gives. ``only_last``: the last estimate of the last part is enough.
        """
        for start in range(0, total, length):
            self.begin(min(length, total - start))
            yield self.steps

    def spike(self, node: Node, x: Value) -> Value:
        neuron = self.neurons[node.name]
        spikes, self.state[node.name] = neuron.run(self._currents(neuron, x), self.state.get(node.name))
        values = spikes * neuron.threshold
        if self.recorder is not None:
            self._tell(node, neuron.events(spikes), values)
        return Timed(values)

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        """out_t = F_t − F_{t−1} for F_t = t·f(mean of the first t inputs): the sum over time is T·f(mean).

        A maximum over one signal has f(c·x) = c·f(x), so there F_t = f(sum), exact in whole spikes.
        """
        timed = [a for a in leaves((args, kwargs)) if isinstance(a, Timed)]
        if not timed:
            return _first(apply(*args, **kwargs))
        sums = iter([self._sum(f"{node.name}:{i}", a.values) for i, a in enumerate(timed)])
        clock = self._clock(timed[0].values)
        exact = node.role == Role.MAX and len(node.refs) == 1

        def mean(a: Any) -> Any:
            if not isinstance(a, Timed):
                return a
            total = next(sums)
            return Timed(total if exact else total / _column(clock, total))

        result = _first(apply(*map_leaves(mean, args), **map_leaves(mean, kwargs))).values
        total = result if exact else result * _column(clock, result)
        values = torch.empty_like(total)
        torch.sub(total[1:], total[:-1], out=values[1:])
        torch.sub(total[0], self.state.get(node.name, torch.zeros_like(total[0])), out=values[0])
        self.state[node.name] = total[-1].clone()
        if self.recorder is not None and node.role == Role.MAX:
            self._tell(node, _events(values, self.neurons.get(node.refs[0])), values)
        return Timed(values)

    def decode(self, name: str, x: Value) -> Value:
        """Mean over the steps so far."""
        total = self._sum(f"{name}:decoded", x.values)
        return Timed(total / _column(self._clock(total), total))

    def _currents(self, neuron: SpikingReLU, x: Value) -> Tensor:
        # A constant current gets its bias once, before it is repeated.
        return x.values + neuron.bias if isinstance(x, Timed) else (x + neuron.bias).expand(self.steps, *x.shape)

    def _tell(self, node: Node, events: Tensor, values: Tensor) -> None:
        assert self.recorder is not None
        self.recorder(node, events, values)

    def _sum(self, key: str, values: Tensor) -> Tensor:
        # In order of time and from the carry on: equal spikes give bitwise equal sums, in blocks of any size.
        total = torch.empty_like(values)
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
        return torch.arange(self.elapsed + 1, self.elapsed + self.steps + 1, device=like.device)


class Layerwise:
    """Each layer fires only when its input is complete: entry t of the time axis is the run with t steps a layer.

    A layer's output is then the (t+1)-value quantisation of its ReLU, whatever came before.
    """

    def __init__(self, neurons: Mapping[str, SpikingReLU], recorder: Recorder | None = None) -> None:
        self.neurons = neurons
        self.recorder = recorder
        self.clock = torch.zeros(0)

    @property
    def steps(self) -> int:
        return len(self.clock)

    def begin(self, clock: Tensor) -> None:
        """The runs with ``clock`` = t_1, t_2, ... steps per layer."""
        self.clock = clock

    def runs(self, total: int, length: int, only_last: bool) -> Iterator[int]:
        """As ``Synchronous.runs``; with ``only_last`` the one run with ``total`` steps per layer."""
        for start in [total - 1] if only_last else range(0, total, length):
            self.begin(torch.arange(start + 1, min(start + length, total) + 1))
            yield self.steps

    def spike(self, node: Node, x: Value) -> Value:
        current = x.values if isinstance(x, Timed) else x.unsqueeze(0)
        neuron = self.neurons[node.name]
        clock = _column(self.clock.to(current.device), current)
        count = neuron.count(current + neuron.bias, clock)
        values = count * neuron.threshold / clock
        if self.recorder is not None:
            self.recorder(node, count, values)
        return Timed(values)

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        result = _first(apply(*args, **kwargs))
        if self.recorder is not None and node.role == Role.MAX and isinstance(result, Timed):
            total = result.values * _column(self.clock.to(result.values.device), result.values)
            self.recorder(node, _events(total, self.neurons.get(node.refs[0])), result.values)
        return result

    def decode(self, name: str, x: Value) -> Value:
        return x


def _events(values: Tensor, source: SpikingReLU | None) -> Tensor:
    """How many spikes these values are: whole ones of a layer that is read directly, else one where not zero."""
    if source is not None and source.options.neuron != "multi_threshold":
        axis, channels = source.axis, source.threshold.numel()
        same = values.dim() == source.threshold.dim() + 2 and values.shape[axis + 1] == channels
        if channels == 1 or same:
            theta = source.threshold if same else source.threshold.flatten()
            return (values / theta).round().abs()
    return (values != 0).to(values.dtype)


def _column(clock: Tensor, like: Tensor) -> Tensor:
    """``(T,)`` laid out to broadcast over ``(T, N, ...)``."""
    return clock.reshape(-1, *[1] * (like.dim() - 1))
