"""Stop as soon as the answer is clear: a threshold on a score, chosen on calibration samples without labels.

The estimate after t steps is off by what rounding and unevenness have left so far, which falls as 1/t. So each sample
is asked after every step how sure its answer is; those that are sure enough leave the batch, and cost nothing from
then on. A single score z stands for two classes with the scores 0 and z, or behind a sigmoid 0.5 and z.
For rate-coded SNNs see Li et al., "SEENN: towards temporal spiking early-exit neural networks", NeurIPS 2023.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from . import checks, data
from .caller_state import Inference, undisturbed
from .data import first_batches
from .errors import ConversionError, warn
from .network import SpikingNetwork
from .output_judging import border, commonest, is_single_score, probability, single
from .run.recording import Recorder

Score = Literal["margin", "confidence", "stability"]


class Exited(NamedTuple):
    """Answers, and when they came.

    Attributes:
        output: Each sample's estimate when it stopped, ``(N, K)``, or as the network's.
        steps: Timesteps that it took, ``(N,)``.
    """

    output: Tensor
    steps: Tensor


class Watch:
    """How sure each sample's answer is, told step by step.

    ``margin``: t times the distance of the two highest scores, in units of the network's output: what the summed
    output would have to be wrong by for another answer. ``confidence``: the largest softmax probability.
    ``stability``: for how many steps the answer has been the same.
    """

    def __init__(self, score: Score) -> None:
        self.score = score
        self.answer = self.same = torch.zeros(0)

    def tell(self, estimate: Tensor, t: int) -> Tensor:
        """The scores ``(N,)`` of the estimates ``(N, K)`` after t steps."""
        if self.score == "margin":
            best = estimate.topk(2, 1).values
            return t * (best[:, 0] - best[:, 1])
        if self.score == "confidence":
            return estimate.softmax(1).amax(1)
        answer = estimate.argmax(1)
        kept = answer == self.answer if len(self.answer) == len(answer) else torch.zeros_like(answer, dtype=torch.bool)
        before = self.same if len(self.same) == len(answer) else torch.zeros(len(answer), device=answer.device)
        self.answer, self.same = answer, torch.where(kept, before + 1, torch.ones_like(before))
        return self.same

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the samples."""
        if self.score == "stability":
            self.answer, self.same = self.answer[rows], self.same[rows]


class EarlyExit:
    """A spiking network whose samples stop when their answer is clear.

    The threshold is the one with the smallest mean latency on the calibration samples at which at least ``agreement``
    percent of them get the answer that all timesteps would have given them. No label is looked at.

    >>> model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:128]
    >>> snn = respike.from_torch(model, calibration, timesteps=8)
    >>> output, steps = respike.EarlyExit(snn, calibration)(calibration[:100])
    >>> output.shape, bool(steps.double().mean() < 8)
    (torch.Size([100, 10]), True)

    Args:
        snn: A classifier with the schedule ``"synchronous"``; it runs ``snn.timesteps`` steps at most.
        calibration: As for ``respike.from_torch``; new samples give a better estimate than known ones.
        score: ``"margin"``, ``"confidence"`` or ``"stability"``, see ``Watch``.
        agreement: In percent, from 1 to 100.
        judge: ``"decision"``: outputs are class scores, or the logit of one class, whatever they look like. By default
            this is checked: a single output without a sigmoid is refused, and the same answer for nearly all samples
            causes a warning.
        samples: The most calibration samples used.
        seed: Random seed for the sample order.

    Attributes:
        threshold: Samples stop when their score reaches it.
        expected: Mean latency on the calibration samples.

    Raises:
        ConversionError: another schedule, a network that mixes samples, an output that is neither class scores
            ``(N, K)`` nor a single score, or an option out of range.
    """

    @undisturbed()
    def __init__(
        self,
        snn: SpikingNetwork,
        calibration: Any,
        *,
        score: Score = "margin",
        agreement: float = 99.9,
        judge: Literal["auto", "decision"] = "auto",
        samples: int = 512,
        seed: int = 0,
    ) -> None:
        checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork")
        checks.one_of("score", score, get_args(Score))
        checks.one_of("judge", judge, ("auto", "decision"))
        agreement = checks.number("agreement", agreement, ", above 0 and at most 100 (percent)", above=0, most=100)
        if agreement < 1:
            raise ConversionError(f"agreement is in percent; got {agreement:g}, so give agreement={100 * agreement:g}")
        samples, seed = checks.whole("samples", samples, 1), checks.seed(seed)
        if snn.schedule != "synchronous":
            raise ConversionError(f"early exit requires schedule='synchronous'; this network is {snn.schedule}")
        if not snn.plan.separable:
            raise ConversionError(
                "early exit requires samples that stay apart along the first axis of every value, so that one of them "
                "can leave; this network mixes them, or they are not proven to stay apart"
            )
        self.snn, self.score, self.agreement = snn, score, agreement
        stream = data.inputs(calibration, snn.graph, seed, next(iter(snn.buffers())).device, snn.timesteps)
        curves = [self.scores(inputs) for inputs in first_batches(stream, samples)]
        scores, answers = (torch.cat(parts, 1) for parts in zip(*curves, strict=True))
        if judge == "auto":
            self._require_decisions(answers[-1])
        self.threshold, self.expected = _lowest(scores, answers, agreement)

    def _require_decisions(self, answers: Tensor) -> None:
        """Whether the outputs are scores, as far as they tell; a warning where nearly all answers are the same.

        Raises:
            ConversionError: they may be any numbers.
        """
        known = "if they are class scores, or the logit of one class, give judge='decision'"
        names = self.snn.graph.output_names()
        single = (self.snn.graph.shape(names[0]) or ())[1:] in ((), (1,))
        if single and not probability(self.snn.graph):
            raise ConversionError(
                f"early exit compares decisions, and a single output without a sigmoid may be any number; {known}"
            )
        share = 100 * commonest(answers)
        if share >= self.agreement:
            warn(
                f"early exit compares decisions, and {share:.1f} % of the samples get the same one, so their agreement "
                f"says nothing, and the threshold may be too low; give samples of all classes, or {known}"
            )

    def rated(self, output: Any) -> Tensor:
        """The scores ``(N, K)``, K of 2 or more, that stand for an output.

        Raises:
            ConversionError: nothing of that kind.
        """
        x = single(output)
        if x is not None and x.is_floating_point() and x.dim() in (1, 2) and is_single_score(x):
            x = x.reshape(-1)
            return torch.stack([torch.full_like(x, border(self.snn.graph)), x], 1)
        if x is None or x.dim() != 2 or not x.is_floating_point() or not x.shape[1]:
            shape = type(output).__name__ if x is None else f"the shape {tuple(x.shape)}"
            raise ConversionError(
                f"early exit compares class scores and needs one output (N, K), (N, 1) or (N,); got {shape}"
            )
        return x

    @torch.no_grad()
    def scores(self, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Scores and answers after each step, both ``(T, N)``, of samples that do not stop."""
        output = self.snn.simulate(*self.snn.graph.unflatten(inputs))
        steps = single(output)
        estimates = [self.rated(output)] if steps is None else [self.rated(x) for x in steps.unbind(1)]
        watch = Watch(self.score)
        found = [watch.tell(estimate, t) for t, estimate in enumerate(estimates, 1)]
        return torch.stack(found), torch.stack([x.argmax(1) for x in estimates])

    @Inference()
    def __call__(self, *args: Any, recorder: Recorder | None = None) -> Exited:
        """Run a batch; samples leave it one by one.

        Args:
            *args: Inputs as for the network.
            recorder: Called with every layer's events.

        Raises:
            ValueError: inputs of another shape than the network's.
        """
        watch, total = Watch(self.score), self.snn.timesteps
        inputs = self.snn.graph.first_frames(self.snn.graph.flatten(args), total)
        blocks = self.snn.blocks(inputs, length=1, recorder=recorder)
        block = next(blocks)
        output = torch.empty_like(self._estimate(block))
        here = torch.arange(len(output), device=output.device)
        steps = torch.full_like(here, total)
        for t in range(1, total + 1):
            estimate = self._estimate(block)
            stops = (watch.tell(self.rated(estimate), t) >= self.threshold) | (t == total)
            output[here[stops]], steps[here[stops]] = estimate[stops], t
            if bool(stops.all()):
                break
            rows = ~stops if bool(stops.any()) else None
            if rows is not None:
                here = here[rows]
                watch.keep(rows)
            block = blocks.send(rows)
        blocks.close()
        return Exited(output, steps)

    def _estimate(self, block: list[Any]) -> Tensor:
        found = single(self.snn.output_at(block, 0))
        assert found is not None
        return found


def exits(scores: Tensor, threshold: float) -> Tensor:
    """The step in which each sample stops, ``(N,)``, counted from 0, of scores ``(T, N)``."""
    clear = scores >= threshold
    clear[-1] = True
    return clear.int().argmax(0)


def thresholds(scores: Tensor, count: int = 200) -> list[float]:
    """Thresholds worth trying, from the lowest score to one that nothing reaches."""
    places = torch.linspace(0, 1, count, dtype=torch.double, device=scores.device)
    levels = torch.quantile(scores.flatten()[: 2**24].double(), places)
    return [*dict.fromkeys(levels.tolist()), float("inf")]


def _lowest(scores: Tensor, answers: Tensor, agreement: float) -> tuple[float, float]:
    """The threshold with the smallest mean latency that keeps so many answers, and that latency."""
    best = float("inf"), float(len(scores))
    for threshold in thresholds(scores):
        stop = exits(scores, threshold)
        same = (answers.gather(0, stop[None])[0] == answers[-1]).double().mean()
        latency = float(stop.double().mean()) + 1
        if 100 * float(same) >= agreement - 1e-9 and latency < best[1]:
            best = threshold, latency
    return best
