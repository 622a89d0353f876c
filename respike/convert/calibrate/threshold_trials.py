"""Thresholds, and what corrects them, tried out on a sample of the currents that really arrive."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..graph import Graph
from ..options import Options
from ..run.graph_walk import Value
from ..run.neurons import SpikingReLU
from ..run.time_varying import Timed
from .converted_prefix import Prefix
from .layer_order import Stop
from .owned_batches import Piece
from .repair.ridge import HELD_BACK
from .start_and_bias import choose_start, start_early, sweep_bias
from .statistics import per_channel, rows_per_channel
from .thresholds import best_threshold, best_threshold_of_layer, require_finite, set_thresholds

SAMPLED = 4096
"""Positions per channel on which thresholds are tried out, about; fewer where T of them take too much memory."""
FEWEST = 256
"""So many they are in any case, or one for each sample if those are more."""
SHARE, FEWEST_SAMPLES, DENSEST, RUN = 0.25, 16, 2, 8
"""Where samples have many positions, those of a quarter of the samples are tried, of 16 at least, and of so many that
there are twice as many positions as are tried; in runs of 8."""


class Trials:
    """Tries thresholds out, one layer after the other.

    Args:
        graph: With roles.
        prefix: ANN and SNN up to the layer.
        options: How to convert.
        device: The network's.
        generator: Chooses the positions that are tried.
        memory: Bytes that the currents tried may take.
    """

    def __init__(
        self,
        graph: Graph,
        prefix: Prefix,
        options: Options,
        device: torch.device,
        generator: torch.Generator,
        memory: int,
    ) -> None:
        self.graph, self.prefix, self.options, self.device = graph, prefix, options, device
        self.generator, self.memory = generator, memory

    def run(self, stop: Stop, neuron: SpikingReLU) -> None:
        """Set the threshold, and what corrects it, by trying them out: on all channels at once if memory allows."""
        samples = self.prefix.samples  # those asked for may be more than there are
        options = replace(self.prefix.options_at(stop), samples=samples)
        chosen, groups = self._chosen(stop, neuron)
        once = [self._sample(stop, neuron, chosen)] if len(groups) == 1 else None

        def parts() -> Iterator[tuple[Tensor, Tensor, Tensor, SpikingReLU]]:
            if once is not None:
                yield *once[0], neuron
                return
            for group in groups:
                yield *self._sample(stop, neuron, chosen, group), neuron.part(group)

        if not neuron.is_trained:
            if options.granularity == "layer":
                theta = best_threshold_of_layer(lambda: ((c, t, part) for c, t, _, part in parts()), options)
            else:
                found = torch.cat([best_threshold(c, t, part, options) for c, t, _, part in parts()])
                theta = torch.empty_like(found).scatter_(0, torch.cat(groups).to(found.device), found)
            set_thresholds(neuron, theta, options)
            neuron.fit_to(options.timesteps)
        if options.correction == "none":
            return
        corrected = []
        for currents, target, held, part in parts():
            if not neuron.is_trained:
                (choose_start if len(currents) > 1 else start_early)(currents, target, part, options)
            sweep_bias(currents, target, held, part, options)
            corrected.append(part)
        if once is None:
            neuron.take(groups, corrected)

    def _chosen(self, stop: Stop, neuron: SpikingReLU) -> tuple[list[Tensor], list[Tensor]]:
        """Up to ``SAMPLED`` random positions of each batch, and the channels in groups that memory holds them of.

        Where T of them take too much memory there are fewer, but about as many as there are samples in any case.
        """
        counts, _ = self.prefix.positions(stop, neuron.axis)
        available = sum(counts)
        channels = self._channels(stop, neuron)
        room = self.memory // (4 * channels * self.prefix.steps)
        varies = stop.current in self.prefix.timed
        most = min(SAMPLED, max(FEWEST, self.prefix.samples, room)) if varies else SAMPLED
        samples = self._samples(available)
        share = most / max(available, 1) * len(samples) / max(int(samples.sum()), 1)
        chosen = []
        for count, some in zip(counts, samples.split(self.prefix.batches.counts), strict=True):
            keep = torch.rand(count, generator=self.generator) < share
            if not bool(some.all()):
                keep &= some.repeat_interleave(count // len(some))
            chosen.append(keep.nonzero().flatten() if available > most else torch.arange(count))
        taken = 4 * channels * sum(map(len, chosen)) * (self.prefix.steps if varies else 1)
        groups = min(channels, -(-taken // max(1, self.memory))) if neuron.axis else 1
        return chosen, [torch.arange(k, channels, groups) for k in range(groups)]

    def _samples(self, available: int) -> Tensor:
        """Which samples are tried, ``(samples,)``: not all, where some have positions enough, as all T currents of each
        are computed for it. Samples that follow each other are, as they are computed together.
        """
        count = self.prefix.samples
        needed = max(FEWEST_SAMPLES, int(SHARE * count), math.ceil(DENSEST * SAMPLED * count / max(available, 1)))
        runs = math.ceil(count / RUN)
        kept = torch.randperm(runs, generator=self.generator)[: math.ceil(needed / RUN)]
        chosen = torch.zeros(runs, dtype=torch.bool)
        chosen[kept] = True
        return chosen.repeat_interleave(RUN)[:count] if self.prefix.apart else torch.ones(count, dtype=torch.bool)

    def _channels(self, stop: Stop, neuron: SpikingReLU) -> int:
        shape = self.graph.shape(stop.current) or ()
        return max(1, shape[neuron.axis] or 1) if neuron.axis else 1

    def _sample(
        self, stop: Stop, neuron: SpikingReLU, chosen: list[Tensor], group: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Currents ``(T, S, C)`` and targets ``(S, C)`` at the chosen positions, of a group of the channels or of all.

        And ``(S,)``, which of them belong to samples held back.
        """
        prefix = self.prefix
        group = group if group is None else group.to(self.device)
        channels = self._channels(stop, neuron) if group is None else len(group)
        taken = _Taken(sum(map(len, chosen)), channels, prefix.steps, self.device)
        alone, filled = prefix.batches.ranks.alone, 0

        def found(piece: Piece) -> _Tried:
            z = prefix.as_ann(piece, stop)
            require_finite(z, neuron.where)
            target = per_channel(neuron.ann(z), neuron.axis)
            first = len(target) * piece.rows.start // piece.samples if prefix.apart else 0
            index = chosen[piece.batch]
            index = index[(index >= first) & (index < first + len(target))] - first
            number = piece.sample + index * piece.samples // len(target)
            index = index.to(self.device)
            # One process puts currents where they belong, several send them.
            place = taken if alone else _Taken(len(index), channels, prefix.steps, self.device)
            start = filled if alone else 0
            for step, current in prefix.currents(stop, piece) if len(index) else ():
                place.add(start, step, current, lambda x: _of(group, rows_per_channel(x, neuron.axis, index)))
                if not isinstance(current, Timed):
                    break
            currents = place.currents if len(index) and not alone else None
            return _Tried(target.amax(0, keepdim=True), _of(group, target[index]), number % HELD_BACK == 0, currents)

        for _, (highest, target, held, currents) in prefix.each(prefix.numbers(stop) * prefix.steps, found):
            neuron.saw(highest)
            place = slice(filled, filled + len(target))
            taken.target[place], taken.held[place] = target, held.to(self.device)
            if currents is not None:
                taken.put(place, currents)
            filled = place.stop
        return taken.currents, taken.target, taken.held


class _Tried(NamedTuple):
    """What is taken of a piece: the largest of all targets, targets, which are held back, and currents."""

    highest: Tensor
    target: Tensor
    held: Tensor
    currents: Tensor | None


class _Taken:
    """Currents ``(T, S, C)``, and targets and which are held back, at S positions; they are filled piece by piece."""

    def __init__(self, total: int, channels: int, steps: int, device: torch.device) -> None:
        self.steps = steps
        self.target = torch.zeros(total, channels, device=device)
        self.held = torch.zeros(total, dtype=torch.bool, device=device)
        self.currents = torch.zeros(0)

    def _make(self, steps: int, kind: torch.dtype) -> None:
        if not len(self.currents):
            self.currents = torch.zeros(steps, *self.target.shape, dtype=kind, device=self.target.device)

    def add(self, first: int, start: int, current: Value, rows: Callable[[Tensor], Tensor]) -> None:
        """Some rows of a current in some steps: from which row and which step on."""
        steps = current.real if isinstance(current, Timed) else current.unsqueeze(0)
        self._make(self.steps if isinstance(current, Timed) else 1, steps.dtype)
        for t, step in enumerate(steps.unbind(0), start):
            some = rows(step)
            self.currents[t, first : first + len(some)] = some

    def put(self, place: slice, currents: Tensor) -> None:
        """Rows of currents in all steps."""
        self._make(len(currents), currents.dtype)
        self.currents[:, place] = currents


def _of(group: Tensor | None, rows: Tensor) -> Tensor:
    """The channels of a group, of rows ``(S, C)``."""
    return rows if group is None else rows[:, group]
