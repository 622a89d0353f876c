"""How close a candidate comes to the ANN, and at what cost: judged on samples it was not calibrated on."""

from __future__ import annotations

import copy
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...progress import SILENT, Part, Progress
from ...ranks import here
from ..calibrate.calibrate import calibrate
from ..count.event_counter import EventCounter
from ..count.fan_out import FanOut, fan_out
from ..data import picked, rows
from ..errors import ConversionError, ConversionWarning
from ..graph import Graph
from ..options import Auto, NeuronOptions, Options
from ..output_judging import Tally, one_output, yardstick_for
from ..run.analog import evaluate_graph
from ..run.simulator import Simulator
from .choice import Trial, code


class Halves:
    """The calibration samples in two halves: a candidate is calibrated on each and judged on the other.

    So every sample is judged, by a network that has not seen it.

    Args:
        graph: With roles set; not changed.
        held: Batches of inputs, read again and again; the first ``options.samples`` samples are used.
        options: All that counts but T and the neuron.
        wanted: How close is close enough, and what is made small.
        device: The network's.

    Attributes:
        samples: How many samples there are in both.
        yardstick: By what candidates are judged.

    Raises:
        ConversionError: fewer than 2 samples, or outputs that cannot be judged.
    """

    def __init__(
        self, graph: Graph, held: Iterable[list[Tensor]], options: Options, wanted: Auto, device: torch.device
    ) -> None:
        self.graph, self.options, self.wanted, self.device = graph, options, wanted, device
        self.output = one_output(graph, "timesteps='auto'")
        self.work: FanOut | None = None
        lengths = [rows(inputs) for inputs in held]
        self.samples = min(options.samples, sum(lengths))
        if self.samples < 2:
            raise ConversionError(
                "timesteps='auto' calibrates on one half of the samples and judges on the other; give at least 2"
            )
        half = torch.full((sum(lengths),), -1)
        half[torch.randperm(self.samples, generator=torch.Generator().manual_seed(options.seed))] = (
            torch.arange(self.samples) % 2
        )
        self.halves = [_Half(held, [of == k for of in half.split(lengths)]) for k in (0, 1)]
        self.answers = [[x.to(device) for x in here().each(half, self._ann)] for half in self.halves]
        outputs = [x for half in self.answers for x in half]
        self.yardstick = yardstick_for(graph, outputs, wanted.judge, wanted.within, "timesteps='auto'")

    @torch.no_grad()
    def _ann(self, inputs: list[Tensor]) -> Tensor:
        """What the ANN gives."""
        (found,) = evaluate_graph(self.graph, inputs)
        return found

    def judge(self, neurons: NeuronOptions, timesteps: int, progress: Progress = SILENT) -> Trial:
        """Try one code at one T; on one half alone if the other could not help, however right it were."""
        what = f"trying {code(neurons.neuron, neurons.max_spikes)} at T = {timesteps}"
        synops, tally = 0.0, Tally(self.yardstick)
        options = replace(self.options, timesteps=timesteps, neurons=neurons)
        for own, other in ((0, 1), (1, 0)):
            snn = self._calibrated(self.halves[own], options, Part(progress, f"{what}, half {own + 1} of 2"))
            snn.memory_budget = options.memory_budget
            self.work = self.work or fan_out(snn.graph, snn.held_graph().tensors)  # the same for every T and code
            counter = EventCounter(self.work, timesteps)

            def run(inputs: list[Tensor], snn: Simulator = snn, counter: EventCounter = counter) -> Any:
                own = counter.another()
                last = deque(snn.blocks(inputs, only_last=True, recorder=own), maxlen=1).pop()
                return last[self.output][-1], own.synops

            found = here().each(self.halves[other], run)
            for (output, operations), wanted in zip(found, self.answers[other], strict=True):
                tally.add(output.to(wanted.device), wanted)
                synops += sum(float(steps.sum()) for steps in operations.values())  # whole numbers: exact
            if own == 0 and not self._can_reach(tally):
                break
        return Trial(
            timesteps,
            neurons.neuron,
            neurons.max_spikes,
            tally.agreement,
            synops / tally.samples,
            tally.samples == self.samples and self.yardstick.reached(tally),
            tally.error,
        )

    def _can_reach(self, tally: Tally) -> bool:
        """Whether the target would be reached if the first half were all right from now on."""
        best = copy.deepcopy(tally)
        for wanted in self.answers[0]:
            best.add(wanted, wanted)
        return self.yardstick.reached(best)

    def _calibrated(self, data: Iterable[list[Tensor]], options: Options, progress: Progress) -> Simulator:
        with warnings.catch_warnings():  # what deserves a look is said of the network that is chosen
            warnings.simplefilter("ignore", ConversionWarning)
            graph, neurons = calibrate(self.graph, data, options, self.device, progress)
        return Simulator(graph, neurons, options.timesteps, options.schedule, options.delay).eval()


class _Half:
    """Some samples of each batch, picked whenever they are read.

    Args:
        batches: Read again and again.
        chosen: Which samples of each, ``(N,)``.
    """

    def __init__(self, batches: Iterable[list[Tensor]], chosen: list[Tensor]) -> None:
        self.batches, self.chosen = batches, chosen

    def __iter__(self) -> Iterator[list[Tensor]]:
        for inputs, chosen in zip(self.batches, self.chosen, strict=True):
            if bool(chosen.any()):
                yield picked(inputs, chosen)
