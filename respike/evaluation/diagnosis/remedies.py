"""Whether what is to be suggested helps: tried on the samples at hand, one half to calibrate and one to judge."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...convert.calibrate.calibrate import calibrate
from ...convert.choose.search import candidates
from ...convert.data import rows
from ...convert.errors import ConversionError, ConversionWarning
from ...convert.graph import RELU, Graph
from ...convert.network import SpikingNetwork
from ...convert.options import (
    LIF,
    MSE,
    MultiThreshold,
    NeuronOptions,
    Options,
    Pipelined,
    Value,
    schedule_of,
    threshold_of,
)
from ...convert.run.analog import evaluate_graph
from ...convert.run.arithmetic import check_holds
from ...convert.run.neurons import SpikingReLU
from ...convert.thread_pool import cut

SAMPLES = 64
"""Most samples that remedies are tried on, both halves together."""
HELPS = 0.95
"""Share of the output's error that may be left if something is said to help."""


class Remedies:
    """Tries changes of a network.

    Args:
        snn: The network; not changed.
        origin: The ANN's graph.
        timesteps: T of the runs.
        held: Batches of the network's inputs to try them on, ``SAMPLES`` at most.
    """

    def __init__(self, snn: SpikingNetwork, origin: Graph, timesteps: int, held: list[list[Tensor]]) -> None:
        self.snn, self.origin, self.timesteps = copy.copy(snn), origin, timesteps
        self.snn.origin = origin
        self.held = held
        self.known: dict[Any, float] = {}

    def options(self, **changes: Any) -> dict[str, Any]:
        """The network's options that are not the default, as ``from_torch`` has them, and these changes of them."""
        first = next(iter(self.snn.neurons.values()))
        assert isinstance(first, SpikingReLU)
        kind, usual = first.options, NeuronOptions()
        found: dict[str, Any] = {}
        if kind.neuron == "lif" and kind.tau_mem != usual.tau_mem:
            found["neuron"] = LIF(kind.tau_mem)
        elif kind.neuron == "multi_threshold" and kind.levels != usual.levels:
            found["neuron"] = MultiThreshold(kind.levels)
        elif kind.neuron != usual.neuron:
            found["neuron"] = kind.neuron
        if kind.max_spikes != usual.max_spikes:
            found["max_spikes"] = kind.max_spikes
        if self._by_layer():
            found["threshold"] = MSE(granularity="layer")
        if self.snn.schedule == "pipelined" and self.snn.delay != Pipelined().delay:
            found["schedule"] = Pipelined(self.snn.delay)
        elif self.snn.schedule != "synchronous":
            found["schedule"] = self.snn.schedule
        if self.snn.precision != "float32":
            found["precision"] = self.snn.precision
        return {**found, **changes}

    def call(self, timesteps: int, **changes: Any) -> str:
        """The call that makes the network with these changes, without a code that ``from_torch`` takes by itself."""
        given = self.options(**changes)
        both_signs = any(node.op == RELU and node.kwargs.get("two_sided") for node in self.origin.nodes)
        if both_signs and given.get("neuron") == "multi_threshold" and "max_spikes" not in given:
            del given["neuron"]
        return spelled(timesteps, **given)

    def _by_layer(self) -> bool:
        """Whether each layer has one threshold, though some have several channels."""
        neurons = self.snn.neurons.items()
        shapes = [(neuron, self.snn.graph.shape(name) or ()) for name, neuron in neurons]
        several = any((shape[n.axis] or 1) > 1 for n, shape in shapes if 0 < n.axis < len(shape))  # type: ignore[operator, index]
        return several and all(n.threshold.numel() == 1 for n, _ in shapes)  # type: ignore[operator]

    def recalibrating(self, layers: Sequence[str]) -> bool:
        """Whether calibrating these layers anew lessens the output's error."""
        try:
            made = self._quiet(lambda: self.snn.recalibrated(self._halves()[0], layers, samples=SAMPLES))
        except ConversionError:
            return False
        return self._error(made, self.timesteps) < HELPS * self._error(self.snn, self.timesteps)

    def anew(self, timesteps: int) -> bool:
        """Whether a network calibrated anew on such samples, for so many steps, has less error than this one."""
        if self.origin.moving and timesteps > self.timesteps:
            return False  # there may be no more frames to try it on
        return self._of(timesteps) < HELPS * self._error(self.snn, self.timesteps)

    def instead(self, timesteps: int, **changes: Any) -> bool:
        """Whether a network calibrated with these options has less error than one with this network's."""
        if self.origin.moving and timesteps > self.timesteps:
            return False
        if self.origin.varying and changes.get("schedule") == "layerwise":
            return False
        try:
            return self._of(timesteps, **changes) < HELPS * self._of(self.timesteps)
        except ConversionError:
            return False

    def _of(self, timesteps: int, **changes: Any) -> float:
        key = (timesteps, *sorted(changes.items(), key=lambda change: change[0]))
        if key not in self.known:
            options = self.options(**changes)
            schedule, delay = schedule_of(options.get("schedule", "synchronous"))
            precision = options.get("precision", "float32")
            (neurons,) = candidates(options.get("neuron", "iaf"), options.get("max_spikes", 1))
            check_holds(precision, neurons)
            wanted = Options(
                timesteps=timesteps,
                threshold=threshold_of(options.get("threshold", "mse")),
                schedule=schedule,
                delay=delay,
                neurons=neurons,
                samples=SAMPLES,
                memory_budget=self.snn.memory_budget,
            )
            device = next(iter(self.snn.buffers())).device
            graph, layers = self._quiet(lambda: calibrate(self.origin, self._halves()[0], wanted, device))
            made = SpikingNetwork(graph, layers, timesteps, schedule, delay).eval()
            made.precision, made.memory_budget = precision, self.snn.memory_budget
            self.known[key] = self._error(made, timesteps)
        return self.known[key]

    def _halves(self) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """The samples held, every other one in each half."""
        return tuple([cut(args, slice(k, None, 2)) for args in self.held if rows(args) > k] for k in (0, 1))  # type: ignore[return-value]

    @torch.no_grad()
    def _error(self, snn: SpikingNetwork, timesteps: int) -> float:
        total = 0.0
        one, other = self._halves()
        for inputs in other or one:
            block = list(snn.blocks(inputs, timesteps=timesteps, only_last=True))[-1]
            wanted = evaluate_graph(self.origin, self.origin.first_frames(inputs, timesteps))
            found = [x[-1] for x in block if isinstance(x, Tensor)]
            pairs = zip(found, (x for x in wanted if isinstance(x, Tensor)), strict=True)
            total += sum(float((a.double() - b.double()).square().sum()) for a, b in pairs if b.is_floating_point())
        return math.sqrt(total)

    @staticmethod
    def _quiet(make: Any) -> Any:
        with warnings.catch_warnings():  # what deserves a look is said of the network that is made in the end
            warnings.simplefilter("ignore", ConversionWarning)
            return make()


def spelled(timesteps: int, **options: Any) -> str:
    """The call that makes such a network."""
    more = "".join(
        f', {name}="{x}"' if isinstance(x, str) else f", {name}={_spelled(x)}" for name, x in options.items()
    )
    return f"snn = respike.from_torch(model, calibration, timesteps={timesteps}{more})"


def _spelled(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return f"respike.{text}" if isinstance(value, Value) else text
