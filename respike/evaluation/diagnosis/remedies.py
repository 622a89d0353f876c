"""Whether what is to be suggested helps: tried on the samples at hand, one half to calibrate and one to judge."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...convert.calibrate import calibrate
from ...convert.data import first_rows, rows
from ...convert.errors import ConversionError, ConversionWarning
from ...convert.graph import Graph
from ...convert.modes import evaluate_graph
from ...convert.network import SpikingNetwork
from ...convert.neurons import NeuronOptions, SpikingReLU
from ...convert.options import Options
from ...convert.parallel import cut
from ...convert.recalibrate import recalibrate

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

    @property
    def own(self) -> dict[str, Any]:
        """The network's options that are not the default, as ``from_torch`` has them."""
        first = next(iter(self.snn.neurons.values()))
        assert isinstance(first, SpikingReLU)
        options = first.options
        found: dict[str, Any] = {} if options.neuron == "iaf" else {"neuron": options.neuron}
        if options.max_spikes != 1:
            found["max_spikes"] = options.max_spikes
        if self.snn.schedule != "synchronous":
            found["schedule"] = self.snn.schedule
        return found

    def recalibrating(self, layers: Sequence[str]) -> bool:
        """Whether calibrating these layers anew lessens the output's error."""
        try:
            made = self._quiet(lambda: recalibrate(self.snn, self._halves()[0], layers, samples=SAMPLES))
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
            options = {**self.own, **changes}
            schedule = options.pop("schedule", "synchronous")
            delay = self.snn.delay if schedule == self.snn.schedule == "pipelined" else 1
            first = next(iter(self.snn.neurons.values()))
            assert isinstance(first, SpikingReLU)
            kind = NeuronOptions(**{"tau_mem": first.options.tau_mem, "levels": first.options.levels, **options})
            wanted = Options(timesteps=timesteps, schedule=schedule, delay=delay, neurons=kind, samples=SAMPLES)
            device = next(iter(self.snn.buffers())).device
            graph, neurons = self._quiet(lambda: calibrate(self.origin, self._halves()[0], wanted, device))
            self.known[key] = self._error(SpikingNetwork(graph, neurons, timesteps, schedule, delay).eval(), timesteps)
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
