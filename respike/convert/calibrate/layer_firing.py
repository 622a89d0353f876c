"""One layer of neurons, fired block by block of time with what it is given, whatever the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...layers.kernels import Drive, Send
from ..options import Options
from ..run.graph_walk import Value
from ..run.neurons import SpikingReLU
from ..run.time_varying import Timed, real
from .packed_integers import packing_of


class Firing:
    """A layer in the middle of a run.

    Args:
        neuron: The layer, calibrated.
        options: T and schedule.
    """

    def __init__(self, neuron: SpikingReLU, options: Options) -> None:
        self.neuron, self.options = neuron, options
        self.state: Any = None
        self.first: Tensor | None = None  # what the first step gets, pipelined, and of how many steps it is
        self.gathered = 0
        finest = neuron.options.finest
        whole = packing_of(neuron.options) is not None
        self.send = Send(1.0 / finest, torch.int8) if whole else Send(neuron.threshold)
        self.scale = neuron.threshold * finest if whole else None

    def block(self, current: Value, steps: int, last: bool) -> Iterator[Timed]:
        """What the layer sends for the next steps of its current; pipelined, that is for those some steps earlier.

        Args:
            current: ``(N, ...)``, or timed.
            steps: How many steps these are.
            last: Whether the run ends with them.
        """
        neuron = self.neuron
        if self.options.schedule == "layerwise":
            clock = torch.tensor(float(self.options.timesteps), device=neuron.threshold.device)
            given = current.unsqueeze(0) if isinstance(current, Tensor) else current.real
            yield Timed(neuron.count(given + neuron.bias, clock) * neuron.threshold / clock)
        elif isinstance(current, Tensor):
            yield self._fire(Drive(current.unsqueeze(0), steps, bias=neuron.bias))
        elif self.options.schedule == "pipelined":
            for part in self._ahead(real(current).values + neuron.bias, last):
                yield self._fire(Drive(part, len(part)))
        else:
            values = real(current).values
            yield self._fire(Drive(values, len(values), bias=neuron.bias))

    def _fire(self, drive: Drive) -> Timed:
        sent, self.state = self.neuron.run(drive, self.state, self.send)
        return Timed(sent, self.scale)

    def _ahead(self, currents: Tensor, last: bool) -> Iterator[Tensor]:
        """The currents as ``move_ahead`` gives them for the whole run, as far as they are known.

        The first step of the layer gets those of its first steps at once, and there is none left for its last ones.
        """
        delay, length = min(self.options.delay, self.options.timesteps - 1), len(currents)
        if self.gathered <= delay:
            part = currents[: delay + 1 - self.gathered]
            total = part.sum(0, keepdim=True)
            self.first = total if self.first is None else self.first + total
            self.gathered += len(part)
            currents = currents[len(part) :]
            if self.gathered > delay:
                currents = torch.cat([self.first, currents])
        if len(currents):
            yield currents
        for start in range(0, delay if last else 0, length):
            yield torch.zeros_like(currents[:1]).repeat(min(length, delay - start), *[1] * (currents.dim() - 1))
