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
from ...convert.calibrate.options import Options
from ...convert.data import first_rows, rows
from ...convert.errors import ConversionError, ConversionWarning
from ...convert.graph import Graph
from ...convert.network import SpikingNetwork
from ...convert.parallel import cut
from ...convert.run.modes import evaluate_graph
from ...convert.run.neurons import NeuronOptions, SpikingReLU

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
    """

    def __init__(self, snn: SpikingNetwork, origin: Graph, timesteps: int) -> None:
        self.snn, self.origin, self.timesteps = copy.copy(snn), origin, timesteps
        self.snn.origin = origin
        self.held: list[tuple[Any, ...]] = []
        self.known: dict[Any, float] = {}

    def keep(self, args: tuple[Any, ...]) -> None:
        """A batch, of which as many samples are kept as are still missing."""
        missing = SAMPLES - sum(map(rows, self.held))
        if missing > 0:
            self.held.append(first_rows(args, missing))

    def options(self, **changes: Any) -> dict[str, Any]:
        """The network's options that are not the default, as ``from_torch`` has them, and these changes of them."""
        first = next(iter(self.snn.neurons.values()))
        assert isinstance(first, SpikingReLU)
        kind, usual = first.options, NeuronOptions()
        found = {name: getattr(kind, name) for name in ("neuron", "max_spikes", "tau_mem", "levels")}
        found = {name: value for name, value in found.items() if value != getattr(usual, name)}
        if self.snn.schedule != "synchronous":
            found["schedule"] = self.snn.schedule
        if self.snn.schedule == "pipelined" and self.snn.delay != 1:
            found["delay"] = self.snn.delay
        if self._by_layer():
            found["granularity"] = "layer"
        if self.snn.precision != "float32":
            found["precision"] = self.snn.precision
        found.update(changes)
        for name, neuron in (("tau_mem", "lif"), ("levels", "multi_threshold")):
            if found.get("neuron") != neuron:
                found.pop(name, None)
        return found

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
        return self._of(timesteps) < HELPS * self._error(self.snn, self.timesteps)

    def instead(self, timesteps: int, **changes: Any) -> bool:
        """Whether a network calibrated with these options has less error than one with this network's."""
        try:
            return self._of(timesteps, **changes) < HELPS * self._of(self.timesteps)
        except ConversionError:
            return False

    def _of(self, timesteps: int, **changes: Any) -> float:
        key = (timesteps, *sorted(changes.items()))
        if key not in self.known:
            options = self.options(**changes)
            schedule, delay = options.pop("schedule", "synchronous"), options.pop("delay", 1)
            granularity, precision = options.pop("granularity", "channel"), options.pop("precision", "float32")
            wanted = Options(
                timesteps=timesteps,
                schedule=schedule,
                delay=delay,
                granularity=granularity,
                precision=precision,
                neurons=NeuronOptions(**options),
                samples=SAMPLES,
            )
            device = next(iter(self.snn.buffers())).device
            graph, neurons = self._quiet(lambda: calibrate(self.origin, self._halves()[0], wanted, device))
            made = SpikingNetwork(graph, neurons, timesteps, schedule, delay).eval()
            made.precision = precision
            self.known[key] = self._error(made, timesteps)
        return self.known[key]

    def _halves(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """The samples held, every other one in each half."""
        return tuple([cut(args, slice(k, None, 2)) for args in self.held if rows(args) > k] for k in (0, 1))  # type: ignore[return-value]

    @torch.no_grad()
    def _error(self, snn: SpikingNetwork, timesteps: int) -> float:
        total = 0.0
        one, other = self._halves()
        for args in other or one:
            block = list(snn.blocks(*args, timesteps=timesteps, only_last=True))[-1]
            wanted = evaluate_graph(self.origin, self.origin.flatten(args))
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
    more = "".join(f', {name}="{x}"' if isinstance(x, str) else f", {name}={x}" for name, x in options.items())
    return f"snn = respike.from_torch(model, calibration, timesteps={timesteps}{more})"
