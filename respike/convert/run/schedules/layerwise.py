"""Each layer waits for its whole input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ...graph import Node, leaves
from ...graph.rules import Role
from ..graph_walk import Value
from ..neurons import SpikingReLU
from ..recording import Recorder, Watch, events_of
from ..spike_units import unit_behind
from ..time_varying import Timed, column, first_result


class Layerwise:
    """Each layer fires only when its input is complete: entry t of the time axis is the run with t steps a layer.

    A layer's output is then the (t+1)-value quantisation of its ReLU, whatever came before.
    """

    def __init__(self, neurons: Mapping[str, SpikingReLU], recorder: Recorder | None = None) -> None:
        self.neurons = neurons
        self.recorder = recorder
        self.watch: Watch | None = None
        self.clock, self.elapsed = torch.zeros(0), 0  # each time is a run of its own

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

    def arriving(self, node: Node, name: str, x: Value) -> Value:
        return x

    def spike(self, node: Node, x: Value) -> Value:
        if self.watch is not None:
            self.watch(node, x)
        current = x.unsqueeze(0) if isinstance(x, Tensor) else x.real
        neuron = self.neurons[node.name]
        clock = column(self.clock.to(current.device), current)
        count, sent = neuron.counts(current + neuron.bias, clock)
        values = count * neuron.threshold / clock
        if self.recorder is not None:
            self.recorder(node, sent, values)
        return Timed(values)

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        result = first_result(apply(*args, **kwargs))
        if self.recorder is not None and node.role == Role.MAX and isinstance(result, Timed):
            total = result.values * column(self.clock.to(result.values.device), result.values)
            source = self.neurons.get(node.refs[0])
            shape = next(a.values.shape[2:] for a in leaves((args, kwargs)) if isinstance(a, Timed))
            self.recorder(node, events_of(total, unit_behind(node, source, shape), total), result.values)
        return result

    def decode(self, name: str, x: Value) -> Value:
        return x
