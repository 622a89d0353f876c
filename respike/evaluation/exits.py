"""What stopping early costs and saves: latency against accuracy, at the chosen threshold and at all others."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..convert import checks
from ..convert.caller_state import undisturbed
from ..convert.count.event_counter import EventCounter
from ..convert.early_exit import EarlyExit, Watch, exits, thresholds
from ..errors import InputError
from ..figures.exits import exit_figure
from ..progress import Listener, listener
from ..text import table
from .batches import batched, split
from .targets import UNLABELLED, labels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class ExitEvaluation:
    """Accuracy and cost of a network with early exit, compared with the same network with all timesteps.

    Attributes:
        samples: How many were judged.
        timesteps: T, the most that one takes.
        score: See ``EarlyExit``.
        threshold: The score at which samples stop.
        accuracy: Share of right answers.
        fixed_accuracy: The accuracy after all T steps.
        agreement: Share of samples that get the answer of all T steps.
        latency: Mean timesteps.
        percentiles: Timesteps that 50, 90 and 99 percent of the samples get by with.
        stopped: How many samples stopped after 1 ... T steps.
        synops: Synaptic operations per sample.
        fixed_synops: The synaptic operations of all T steps.
        curve: Mean latency and accuracy of other thresholds, by latency.
    """

    samples: int
    timesteps: int
    score: str
    threshold: float
    accuracy: float
    fixed_accuracy: float
    agreement: float
    latency: float
    percentiles: dict[int, int]
    stopped: tuple[int, ...]
    synops: float
    fixed_synops: float
    curve: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        waits = ", ".join(f"{share} % within {steps}" for share, steps in self.percentiles.items())
        lines = [
            ("", "accuracy", "mean latency", "SynOps"),
            ("early", f"{100 * self.accuracy:.2f} %", f"{self.latency:.2f}", f"{self.synops:,.0f}"),
            ("fixed", f"{100 * self.fixed_accuracy:.2f} %", str(self.timesteps), f"{self.fixed_synops:,.0f}"),
        ]
        told = f"{self.samples:,} samples; {waits} steps; {100 * self.agreement:.2f} % get the answer of all steps"
        return "\n".join([*table(lines, ">"), told])

    def as_dict(self) -> dict[str, Any]:
        """All results, as values that JSON can hold."""
        found = asdict(self)
        return {**found, "threshold": self.threshold if math.isfinite(self.threshold) else None}

    def plot(self) -> Figure:
        """Accuracy against mean latency for all thresholds, and when samples stop."""
        return exit_figure(self)


@undisturbed()
@torch.no_grad()
def evaluate_exit(
    early: EarlyExit, data: Any, *, batch_size: int = 100, progress: bool | Listener | None = None
) -> ExitEvaluation:
    """Judge a network that stops early.

    Args:
        early: The network.
        data: As for ``respike.evaluate``.
        batch_size: For a Dataset or a pair of tensors.
        progress: As for ``respike.evaluate``.

    Raises:
        ValueError: there is no data, or targets are not class numbers ``(N,)``.
    """
    checks.instance("early", early, EarlyExit, "an EarlyExit")
    batch_size = checks.whole("batch_size", batch_size, 1)
    checks.progress(progress, bar=True)
    snn = early.snn
    fixed, stopping = (EventCounter(snn.fan_out, snn.timesteps) for _ in range(2))
    found: list[tuple[Tensor, ...]] = []
    batches, length = batched(data, batch_size)
    seen = 0
    with listener(progress, default=True) as told:
        told.report("stopping early", 0, length)
        for inputs, target in split(batches, snn.graph):
            fixed.begin_batch()
            outputs = [
                snn.output_at(block, t) for block in snn.blocks(inputs, recorder=fixed) for t in range(_length(block))
            ]
            estimates = torch.stack([early.rated(output) for output in outputs])
            target = labels_of(target, estimates[-1])
            watch = Watch(early.score)
            scores = torch.stack([watch.tell(estimate, t) for t, estimate in enumerate(estimates, 1)])
            stopping.begin_batch()
            output, steps = early(*snn.graph.unflatten(inputs), recorder=stopping)
            answer = early.rated(output).argmax(1)
            found.append((scores, estimates.argmax(2), target.expand(len(scores), -1), answer[None], steps[None]))
            seen += len(steps)
            told.report("stopping early", seen, length)
    if not found:
        raise InputError("there is no data to evaluate on")
    scores, answers, targets, early_answers, steps = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    if bool((targets == UNLABELLED).all()):
        raise InputError(f"all labels are {UNLABELLED}, so there is nothing to judge")
    target, answer, taken = targets[0], early_answers[0], steps[0]
    return ExitEvaluation(
        samples=len(target),
        timesteps=snn.timesteps,
        score=early.score,
        threshold=early.threshold,
        accuracy=_share(answer, target),
        fixed_accuracy=_share(answers[-1], target),
        agreement=_share(answer, answers[-1]),
        latency=float(taken.double().mean()),
        percentiles={p: int(np.percentile(taken.numpy(), p, method="inverted_cdf")) for p in PERCENTILES},
        stopped=tuple(torch.bincount(taken, minlength=snn.timesteps + 1)[1:].tolist()),
        synops=sum(float(steps.sum()) for steps in stopping.synops.values()) / len(target),
        fixed_synops=sum(float(steps.sum()) for steps in fixed.synops.values()) / len(target),
        curve=_curve(scores, answers, target),
    )


def _length(block: list[Any]) -> int:
    return next(len(x) for x in block if isinstance(x, Tensor))


def _share(found: Tensor, wanted: Tensor) -> float:
    return float((found == wanted)[wanted != UNLABELLED].double().mean())


def _curve(scores: Tensor, answers: Tensor, target: Tensor) -> tuple[tuple[float, float], ...]:
    points = {}
    for threshold in thresholds(scores):
        stop = exits(scores, threshold)
        points[float(stop.double().mean()) + 1] = _share(answers.gather(0, stop[None])[0], target)
    return tuple(sorted(points.items()))
