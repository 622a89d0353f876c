"""Look at samples, batch by batch, each of which one process does; what it finds is added up in the order of all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from torch import Tensor, nn

from ...convert import data as reading
from ...convert.data import first_rows, rows
from ...convert.graph import Graph
from ...convert.network import SpikingNetwork
from ...convert.thread_pool import cut
from ...convert.variants.origin import origin_of
from ...ranks import Ranks, alone
from ..noted import Noted
from ..shown_to_ann import AnnOn
from .findings import findings
from .outputs import Compared, Outputs
from .parts import Added, Sums
from .remedies import SAMPLES, Remedies
from .result import Diagnosis, LayerDiagnosis
from .trials import Trials
from .walks import walk

ROOM = 2**29
"""Bytes that the values of a piece of a batch may take, about."""
COPIES = 16
"""Float32 values that are alive at once for each output of each layer, about."""


class Piece(NamedTuple):
    """What is found in a piece of a batch."""

    outputs: Compared
    sums: dict[str, Added]
    trials: dict[str, tuple[Tensor, Tensor] | None]
    held: list[Tensor] | None


class Looking:
    """What is known of a network and its ANN after some samples.

    Args:
        snn: The network.
        ann: The ANN, unless the network holds it.
        total: How many timesteps.
        ann_on: What the ANN is shown for its outputs.
    """

    def __init__(self, snn: SpikingNetwork, ann: nn.Module | None, total: int, ann_on: AnnOn) -> None:
        self.snn, self.ann, self.total, self.ann_on = snn, ann, total, ann_on
        self.device = next(iter(snn.buffers())).device
        self.neurons = snn.layers()
        self.sums = {name: Sums(neuron, total, snn.graph.shape(name) or ()) for name, neuron in self.neurons.items()}
        self.trials = {name: Trials(neuron, snn.calibrated_timesteps) for name, neuron in self.neurons.items()}
        self.outputs = Outputs(snn.graph)
        self.held: list[list[Tensor]] = []
        self.pieces: list[int] = []  # how many samples each of them had
        self._origin: Graph | None = None

    def through(
        self, batches: Iterator[tuple[int, Any]], order: Tensor | None, samples: int, noted: Noted, ranks: Ranks
    ) -> Iterator[int]:
        """Go through the data, in step with the other processes, and say after each round how many samples were seen.

        Args:
            batches: Those of this process, with their numbers.
            order: Which sample each is, where they are read in an order of ours.
            samples: How many are wanted.
            noted: Where it is noted how far this is.
            ranks: The processes.
        """
        while noted.seen < samples:
            mine: list[list[Tensor]] = []

            def read(mine: list[list[Tensor]] = mine) -> int | None:
                for number, batch in islice(batches, 1):
                    mine.extend(self._inputs(number, batch, order, noted.seen if ranks.alone else None))
                    return sum(map(rows, mine))
                return None

            counts = ranks.gathered(read)
            turns = [(noted.done + k) % ranks.size for k in range(ranks.size)]  # whose batch is the next one, and so on
            kept = self._kept(counts, turns, samples - noted.seen)
            earlier = turns[: turns.index(ranks.rank)]
            before = [n for rank in earlier for n in self._sizes(kept[rank])]

            def look(
                mine: list[list[Tensor]] = mine, kept: dict[int, int] = kept, before: list[int] = before
            ) -> tuple[list[Piece], bool]:
                found = [] if not kept[ranks.rank] else self._look(first_rows(mine[0], kept[ranks.rank]), before)
                if ranks.alone:  # so that only one piece is there at a time
                    for piece in found:
                        self._add(piece)
                return [] if ranks.alone else list(found), ranks.first and noted.due()

            words = ranks.gathered(look)
            for rank in turns:
                for piece in words[rank][0]:
                    self._add(piece)
            noted.done += sum(count is not None for count in counts)
            noted.seen = self.outputs.samples
            yield noted.seen
            if words[0][1]:
                noted.note(*self.state())
            if all(count is None for count in counts):
                return

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Everything: what JSON can hold, and tensors by name."""
        out = self.outputs
        told = {"samples": out.samples, "agreed": out.agreed, "answer": out.answer, "varies": out.varies}
        tensors = {"squares": out.squares, **{f"moments {k}": x for k, x in enumerate(out.moments)}}
        for name, sums in self.sums.items():
            tensors |= {f"{part} of {name}": getattr(sums, part) for part in ("numbers", "fired", "active")}
            for part in ("ann", "alone"):
                some = getattr(self.trials[name], part)
                tensors |= {f"{part} {k} of {name}": x for k, x in enumerate(some)}
        tensors |= {f"held {k} {i}": x for k, some in enumerate(self.held) for i, x in enumerate(some)}
        return {**told, "pieces": self.pieces, "held": [len(some) for some in self.held]}, tensors

    def restore(self, told: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        out = self.outputs
        out.samples, out.agreed, out.answer = told["samples"], told["agreed"], told["answer"]
        out.varies, out.squares = told["varies"], tensors["squares"]
        out.moments = [tensors[f"moments {k}"] for k in range(sum(name.startswith("moments ") for name in tensors))]
        self.pieces = told["pieces"]
        for name, sums in self.sums.items():
            sums.numbers, sums.fired, sums.active = (
                tensors[f"{part} of {name}"] for part in ("numbers", "fired", "active")
            )
            k = 0
            while f"ann {k} of {name}" in tensors:
                self.trials[name].add((tensors[f"ann {k} of {name}"], tensors[f"alone {k} of {name}"]))
                k += 1
        for k, count in enumerate(told["held"]):
            self.held.append([tensors[f"held {k} {i}"].to(self.device) for i in range(count)])

    def found(self) -> Diagnosis:
        """What follows from it; remedies are tried by this process alone."""
        snn, out, total, steps = self.snn, self.outputs, self.total, self.snn.calibrated_timesteps
        layers = tuple(self._layer(name) for name in self.neurons)
        with alone():
            remedies = Remedies(snn, self._ann_graph(self.held[0]), total, self.held)
            told = findings(
                layers, total, steps, snn.schedule, out.error, out.propagated, self._alone_at, remedies
            )  # fmt: skip
        return Diagnosis(
            samples=out.samples,
            timesteps=total,
            calibrated=steps,
            schedule=snn.schedule,
            agreement=out.agreement,
            output_error=out.error,
            propagated=out.propagated,
            layers=layers,
            findings=told,
        )

    def _alone_at(self, steps: int) -> float:
        """The mean error that layers have alone, with thresholds for so many timesteps."""
        errors = [error for trial in self.trials.values() if (error := trial.best_at(steps)) is not None]
        return sum(errors) / max(len(errors), 1)

    def _inputs(self, number: int, batch: Any, order: Tensor | None, seen: int | None) -> Iterator[list[Tensor]]:
        if order is not None:  # which is cut into batches of one size
            order = order[number * reading.BATCH_SIZE :]
        checked = reading.checked([batch], order, self.snn.graph.arity, 0 if order is not None else seen or 0)
        return (reading.tensors_of(args, self.snn.graph, self.device, self.total) for args in checked)

    def _kept(self, counts: list[int | None], turns: list[int], left: int) -> dict[int, int]:
        """How many samples of each process's batch are looked at, if so many are left to look at."""
        found = {}
        for rank in turns:
            found[rank] = min(counts[rank] or 0, left)
            left -= found[rank]
        return found

    def _sizes(self, count: int) -> list[int]:
        """How many samples each piece of a batch has: what fits into ``ROOM``, unless the network mixes samples."""
        if not self.snn.plan.separable:
            return [count] * (count > 0)
        size = max(1, ROOM // (4 * COPIES * sum(_size(self.snn, name) for name in self.snn.neurons)))
        return [min(size, count - start) for start in range(0, count, size)]

    def _look(self, inputs: list[Tensor], others: list[int]) -> Iterator[Piece]:
        before, start = [*self.pieces, *others], 0
        for n in self._sizes(rows(inputs)):
            some = cut(inputs, slice(start, start + n)) if self.snn.plan.separable else inputs
            start += n
            batch = walk(self.snn, self._ann_graph(inputs), some, self.total, self.ann_on)
            missing = SAMPLES - sum(before)
            yield Piece(
                self.outputs.of(batch, n),
                {
                    name: sums.of(batch.sent[name], batch.arrived[name], batch.own[name], batch.ann[name])
                    for name, sums in self.sums.items()
                },
                {
                    name: trials.of(batch.ann[name], batch.alone[name], before, n)
                    for name, trials in self.trials.items()
                },
                first_rows(some, missing) if missing > 0 else None,
            )
            before.append(n)

    def _add(self, piece: Piece) -> None:
        self.outputs.add(piece.outputs)
        self.pieces.append(piece.outputs.samples)
        for name in self.neurons:
            self.sums[name].add(piece.sums[name])
            self.trials[name].add(piece.trials[name])
        if piece.held is not None:
            self.held.append([x.to(self.device) for x in piece.held])

    def _ann_graph(self, inputs: list[Tensor]) -> Graph:
        if self._origin is None:
            self._origin = origin_of(self.snn, self.ann, inputs)
        return self._origin

    def _layer(self, name: str) -> LayerDiagnosis:
        sums, neuron = self.sums[name], self.neurons[name]
        theta = neuron.threshold
        error, scale = sums.rms
        return LayerDiagnosis(
            name=name,
            where=neuron.where,
            neuron=neuron.options.neuron,
            max_spikes=neuron.options.max_spikes,
            neurons=_size(self.snn, name),
            threshold=(float(theta.min()), float(theta.mean()), float(theta.max())),
            error=error,
            scale=scale,
            parts=sums.parts,
            pearson=sums.pearson,
            saturated=sums.saturated / sums.values,
            silent=sums.silent,
            dead=sums.dead,
            rates=tuple((sums.rates / sums.values).tolist()),
            trial=self.trials[name].result(),
        )


def _size(snn: SpikingNetwork, name: str) -> int:
    return math.prod(n for n in snn.graph.shape(name) or () if n is not None and n > 0)
