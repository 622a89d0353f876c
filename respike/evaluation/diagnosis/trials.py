"""Each layer by itself: what the ANN sends arrives, evenly, so that no other layer's fault can show.

And what would make it better: other thresholds, or the ANN's weights without a bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...convert.calibrate.decoded_output import decoded
from ...convert.calibrate.statistics import per_channel
from ...convert.calibrate.thresholds import best_threshold
from ...convert.options import MSE, Options
from ...convert.run.neurons import SpikingReLU
from .parts import constant
from .result import Trial

ROWS = 256
"""Positions per channel that a batch gives, at most."""
NUMBERS = 2**15
"""Numbers that a batch gives for each layer, at most."""
BATCHES = 8
MARGIN = 1.05
"""Times the largest output that calibration saw; it looks at a sample of positions where there are many."""


class Trials:
    """Keeps some currents of a layer, and tries on them.

    Args:
        neuron: The layer.
        timesteps: T that it was calibrated for.
    """

    def __init__(self, neuron: SpikingReLU, timesteps: int) -> None:
        self.neuron, self.timesteps = neuron, timesteps
        self.options = Options(
            timesteps=timesteps,
            schedule="layerwise",  # an even current
            threshold=MSE(granularity="layer" if neuron.threshold.numel() == 1 else "channel"),
        )
        self.ann: list[Tensor] = []
        self.alone: list[Tensor] = []

    def of(self, ann: Tensor, alone: Tensor, before: Sequence[int], rows: int) -> tuple[Tensor, Tensor] | None:
        """What is kept of a piece of a batch; None if there is enough.

        Args:
            ann: The ANN's currents, ``(N, ...)``.
            alone: What the SNN's weights make of what the ANN's layers before send.
            before: How many samples each piece before has.
            rows: How many this one has.
        """
        if len(before) >= BATCHES:
            return None
        z, own = per_channel(ann, self.neuron.axis), per_channel(alone, self.neuron.axis)
        count = min(len(z), ROWS, max(1, NUMBERS // z.shape[1]))
        generator = torch.Generator().manual_seed(0)
        for n in before:  # whoever looked at them
            torch.randperm(len(z) // rows * n, generator=generator)
        index = torch.randperm(len(z), generator=generator)[:count].to(z.device)
        return z[index].float(), own[index].float()

    def add(self, piece: tuple[Tensor, Tensor] | None) -> None:
        """Keep it."""
        if piece is not None:
            device = self.neuron.threshold.device
            self.ann.append(piece[0].to(device))
            self.alone.append(piece[1].to(device))

    def result(self) -> Trial | None:
        """None if the ANN's layer is never active."""
        ann, alone = torch.cat(self.ann), torch.cat(self.alone)
        neuron = self.neuron
        target = neuron.ann(ann)
        power = float(target.square().sum())
        if not power:
            return None
        theta, start = neuron.threshold.flatten().float(), neuron.start.flatten().float()
        half = torch.full_like(start, 0.5)
        changed = self._like(theta, start, neuron.bias.flatten().float())
        plain = self._like(theta, half, torch.zeros_like(start))
        now = self._error(alone, changed, target)
        other = self._best(alone, changed, target)
        threshold = self._error(alone, other, target)
        correction = self._error(ann, plain, target)
        best = self._error(ann, self._best(ann, plain, target), target)
        shift = alone + constant(changed, self.timesteps) - ann
        moved = float(shift.mean(0).square().mean() / shift.square().mean().clamp(min=1e-30))
        silent = self._output(alone, changed) == 0
        beyond, reach = self._beyond(target)
        return Trial(
            now=_relative(now, power),
            threshold=_relative(torch.minimum(threshold, now), power),
            correction=_relative(torch.minimum(correction, now), power),
            best=_relative(torch.minimum(torch.minimum(threshold, best), torch.minimum(correction, now)), power),
            factor=_weighted_median(theta / other.threshold, (now - threshold).clamp(min=0)),
            shift=float(shift.mean() / (target.square().sum() / (target != 0).sum()).sqrt()),
            evenly=moved,
            lost=float(target[silent].square().sum()) / power,
            beyond=beyond,
            reach=reach,
        )

    def _beyond(self, target: Tensor) -> tuple[float, float]:
        """How much of the ANN's squared output is beyond what calibration saw, and how many times that it reaches."""
        if not self.neuron.largest.numel():
            return 0.0, 1.0
        target = target.abs()  # as those are that calibration noted
        largest, squares = self.neuron.largest.flatten(), target.square()
        share = float(squares[target > MARGIN * largest].sum() / squares.sum())
        if not share:
            return 0.0, 1.0
        return share, _weighted_median(target.amax(0) / largest.clamp(min=1e-30), squares.sum(0))

    def best_at(self, timesteps: int) -> float | None:
        """``Trial.best`` for another T, but for what is gained by present weights and bias."""
        other = Trials(self.neuron, timesteps)
        ann = torch.cat(self.ann)
        target = self.neuron.ann(ann)
        power = float(target.square().sum())
        theta = self.neuron.threshold.flatten().float()
        plain = other._like(theta, torch.full_like(theta, 0.5), torch.zeros_like(theta))
        return _relative(other._error(ann, other._best(ann, plain, target), target), power) if power else None

    def _like(self, theta: Tensor, start: Tensor, bias: Tensor) -> SpikingReLU:
        made = self.neuron.trial(theta, start)
        made.bias, made.cap = bias, self.neuron.cap
        return made

    def _best(self, currents: Tensor, neuron: SpikingReLU, target: Tensor) -> SpikingReLU:
        found = best_threshold(currents[None], target, neuron, self.options)
        found = torch.where(found > 0, found, neuron.threshold)
        if neuron.cap is not None:
            found = found.clamp(max=neuron.cap / neuron.options.max_spikes)
        return self._like(found, neuron.start, neuron.bias)

    def _output(self, currents: Tensor, neuron: SpikingReLU) -> Tensor:
        own = neuron.threshold, neuron.start, neuron.bias
        return decoded(currents[None], *own, neuron, self.options)

    def _error(self, currents: Tensor, neuron: SpikingReLU, target: Tensor) -> Tensor:
        """Sum of squares, of each channel."""
        return (self._output(currents, neuron) - target).square().sum(0)


def _relative(squares: Tensor, power: float) -> float:
    return float((squares.sum() / power).sqrt())


def _weighted_median(values: Tensor, weights: Tensor) -> float:
    if values.numel() == 1:
        return float(values)
    values = values.expand(weights.shape)
    order = values.argsort()
    total = weights[order].cumsum(0)
    return float(values[order][int((total < total[-1] / 2).sum())]) if float(total[-1]) else float(values.median())
