"""Samples that calibration never sees, and how close the converted network comes to the ANN on them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..progress import Progress
from ..ranks import here
from .closeness import AGREEMENT, Closeness
from .data import picked, rows
from .graph import Graph, Ref
from .memory_limits import calibration_budget, calibration_piece
from .output_judging import Tally, Yardstick, border, decision, decisions_tell, probability
from .run.analog import all_outputs
from .run.execution_plan import Plan
from .run.simulator import Simulator
from .sample_axis import Along, places

EVERY = 8
"""One sample in so many is held back."""
MOST = 64
"""How many are held back from calibration, at most."""
AT_ONCE = 16
"""Samples that are judged at once, at most."""
FEWEST = 8
"""Samples from which an error can be told: it is in units of how much outputs vary, and of two samples, which may be
alike by chance, that says nothing (of eight, the standard deviation is right within a factor of two)."""


class HeldBack:
    """Holds samples back from a stream: each eighth that is read, until there are enough.

    None if samples meet each other in the network, or if an input does not begin with them: then those that calibrate
    cannot be taken out of their batch.

    Args:
        graph: With roles set.
        most: How many are enough.

    Attributes:
        batches: What was held back so far.
    """

    def __init__(self, graph: Graph, most: int = MOST) -> None:
        self.possible, self.most = Plan(graph).apart_inside, most
        self.batches: list[list[Tensor]] = []
        self.read = 0

    def others(self, stream: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
        """The samples to calibrate with, batch by batch, as they are asked for."""
        for inputs in stream:
            count = rows(inputs) if self.possible else 0
            number = torch.arange(self.read, self.read + count)
            held = (number % EVERY == EVERY - 1) & (number < EVERY * self.most)
            self.read += count
            if not bool(held.any()):
                yield inputs
                continue
            # Copies: views would keep the whole batch in memory.
            self.batches.append(picked(inputs, held))
            if not bool(held.all()):
                yield picked(inputs, ~held)


@torch.no_grad()
def judged(snn: Simulator, ann: Graph, held: HeldBack, progress: Progress) -> Closeness | None:
    """How close a network comes to the ANN after all its timesteps, on the samples that were held back.

    Decisions and errors are judged as ``timesteps="auto"`` does; of several outputs, each has its error and the worst
    one counts. None if no samples were held back, or if no output can be judged.

    Args:
        snn: With all its settings.
        ann: Its graph with the ANN's weights, with roles set.
        held: The samples.
        progress: Told how many of them are done.
    """
    outputs = {i: OutputTally(ann) for i in with_samples(ann)}
    if not held.batches or not outputs:
        return None
    inputs = [torch.cat(parts) for parts in zip(*held.batches, strict=True)]
    plan, total = Plan(ann), len(inputs[0])
    work = calibration_piece(calibration_budget(snn.memory_budget, inputs[0].device), inputs[0].device)
    size = max(1, min(AT_ONCE, work // (4 * plan.peak)))

    def run(start: int) -> list[tuple[Any, Any]]:
        progress.report("judging on held-back samples", start, total)
        piece = [x[start : start + size] for x in inputs]
        wanted = all_outputs(ann, piece, plan.last_use_of_all)
        found = pytree.tree_leaves(snn(*snn.graph.unflatten(piece)))
        return [(found[i], wanted[i]) for i in outputs]

    for pairs in here().each(range(0, total, size), run):
        for output, (found, wanted) in zip(outputs.values(), pairs, strict=True):
            output.add(found, wanted)
    progress.report("judging on held-back samples", total, total)
    if len(ann.output_names()) == 1:
        (only,) = outputs.values()
        agreement, error = only.agreement, only.error
        return None if agreement is error is None else Closeness(agreement, error, total, snn.timesteps)
    errors = {i: error for i, output in outputs.items() if (error := output.error) is not None}
    if not errors:
        return None
    worst = max(errors, key=lambda i: errors[i])
    return Closeness(None, errors[worst], total, snn.timesteps, _places_of(ann.out_spec)[worst])


def with_samples(graph: Graph) -> list[int]:
    """Which of the outputs are tensors that begin with the samples."""
    where = places(graph)
    named = [(i, x.name) for i, x in enumerate(graph.outputs) if isinstance(x, Ref)]
    return [i for i, name in named if isinstance(place := where[name], Along) and place.first]


def _places_of(spec: pytree.TreeSpec) -> list[str]:
    """How to get at each leaf of an output, ``output['boxes'][0]`` for example."""
    numbers = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    try:
        return [f"output{pytree.keystr(path)}" for path, _ in pytree.tree_flatten_with_path(numbers)[0]]
    except ValueError:  # a container of the user's own that names no places
        return [f"output {i + 1} of {spec.num_leaves}" for i in range(spec.num_leaves)]


class OutputTally:
    """One output, judged batch by batch in every way in which it can be, as what the batches hold decides which counts.

    Args:
        graph: With the ANN's weights.
    """

    def __init__(self, graph: Graph) -> None:
        self.certain = probability(graph)
        self.decided = Tally(Yardstick("decision", 0, border(graph)))
        self.missed = Tally(Yardstick("error", 0))
        self.answers: Counter[int] = Counter()
        self.example: Tensor | None = None

    def add(self, found: Tensor, wanted: Tensor) -> None:
        """A batch of outputs."""
        self.example = wanted[:1]
        if wanted.is_floating_point() and wanted.numel():
            self.missed.add(found, wanted)
        answer = decision(wanted, self.decided.yardstick.border)
        if answer is not None and answer.numel():
            self.decided.add(found, wanted)
            if wanted.is_floating_point():
                values, counts = answer.unique(return_counts=True)
                self.answers.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    @property
    def agreement(self) -> float | None:
        if self.example is None or not self.decided.samples:
            return None
        commonest = max(self.answers.values(), default=0) / max(self.answers.total(), 1)
        told = decisions_tell(self.example, commonest, self.certain, 100 * (1 - AGREEMENT))
        return self.decided.agreement if told else None

    @property
    def error(self) -> float | None:
        if self.missed.samples < FEWEST or not bool(self.missed.spread.varies.any()):
            return None
        error = self.missed.error
        return error if error is not None and math.isfinite(error) else None
