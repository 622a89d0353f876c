"""The answer: what the network takes at every number of timesteps, and what its ANN would."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...text import table
from ..formatting import plain, steps_worth_a_line
from ..layer_activity import Curve
from .energy import EnergyModel

QUANTISED = "quantised ANN"


@dataclass(frozen=True)
class Traffic:
    """Accesses to memory per sample up to each timestep, if nothing is cached.

    Attributes:
        weights: Weights fetched: one for each synaptic operation and each multiply-accumulate.
        reads: Membranes, sums and values read.
        writes: Membranes, sums and values written.
    """

    weights: Curve
    reads: Curve
    writes: Curve


@dataclass(frozen=True)
class LayerCost:
    """The operations and energy of a layer of neurons, a maximum or an input of events, per sample up to each step.

    Attributes:
        name: The node's name.
        where: Its place in the user's model.
        synops: Synaptic operations that its spikes cause.
        updates: Updates of its neurons, one for each neuron and timestep; none in a maximum or an input.
        energy: Of both and of what its spikes cause without a synapse, without memory, in pJ.
    """

    name: str
    where: str
    synops: Curve
    updates: Curve
    energy: Curve


@dataclass(frozen=True)
class Baseline:
    """An ANN that the spiking network is compared with.

    Attributes:
        name: What the tables call it.
        about: What it is, in words.
        macs: Multiply-accumulates per sample.
        bits: The bits of an activation, ``(T,)``.
        traffic: The traffic of a run that corresponds to t timesteps.
        energy: Likewise, in pJ per sample.
    """

    name: str
    about: str
    macs: float
    bits: NDArray[np.int64]
    traffic: Traffic
    energy: Curve


@dataclass(frozen=True)
class Cost:
    """The operations and energy of a spiking network per sample; entry t − 1 of every curve belongs to t timesteps.

    Attributes:
        model: Energy of each operation.
        samples: How many samples the counts are means of.
        schedule: See ``Evaluation``; with ``"layerwise"`` and ``"pipelined"`` t counts steps per layer.
        synops: Synaptic operations.
        updates: Updates of neurons.
        traffic: Accesses to memory.
        parts: Energy in pJ of ``"synapses"`` (synaptic operations), ``"neurons"`` (updates and resets), ``"sums"``
            (spikes added and compared without a synapse), ``"analog"`` (values that are no spikes: the first layer
            and the answer) and, if the model knows it, ``"memory"``.
        layers: Each layer's share.
        baselines: The ANN; the ANN that skips its zeros, if it was counted; the quantised ANN, if the model has one.
    """

    model: EnergyModel
    samples: int
    schedule: str
    synops: Curve
    updates: Curve
    traffic: Traffic
    parts: dict[str, Curve]
    layers: tuple[LayerCost, ...]
    baselines: tuple[Baseline, ...]

    @property
    def timesteps(self) -> int:
        """The longest run."""
        return len(self.synops)

    @property
    def energy(self) -> Curve:
        """All parts, in pJ per sample."""
        total: Curve = np.sum(list(self.parts.values()), axis=0)
        return total

    @property
    def ratios(self) -> dict[str, Curve]:
        """Energy over that of each baseline; above 1 the spiking network costs more."""
        return {baseline.name: self.energy / baseline.energy for baseline in self.baselines}

    @property
    def verdict(self) -> str:
        """In words, what the longest run takes, and where the spiking network costs more than an ANN."""
        last, ratios = self.timesteps, [(_named(b), self.energy / b.energy) for b in self.baselines]
        steps = "1 timestep" if last == 1 else f"{last} timesteps"
        kind = "arithmetic alone" if self.model.memory is None else "arithmetic and memory"
        against = _listed([f"{_times(float(ratio[-1]))} {name}" for name, ratio in ratios])
        found = [
            f"In {steps} the SNN takes {self.energy[-1] / 1e6:.3g} µJ a sample ({self.model.name}; {kind}): {against}."
        ]
        more = [f"{name} {_where(ratio > 1)}" for name, ratio in ratios if (ratio > 1).any()]
        less = [name for name, ratio in ratios if not (ratio > 1).any()]
        if more:
            found.append(f"It costs more than {_listed(more)}.")
        if less:
            found.append(f"It costs no more than {_listed(less, 'or')} at any number of timesteps up to {last}.")
        if len(ratios) == 1 + self.model.has_integers:
            found.append(
                "The ANN's zeros were not counted: evaluate with ann=model, the model that this network was made from. "
                "A model with more or fewer multiply-accumulates is not counted."
            )
        return " ".join(found)

    def rows(self) -> list[int]:
        """The timesteps worth a line: powers of two, and the last."""
        return steps_worth_a_line(self.timesteps)

    def __str__(self) -> str:
        names = list(self.parts)
        headings = [f"/ {name}" for name in self.ratios]
        lines = [["T", "SynOps", "updates", *names, "µJ", *headings, "bits"]]
        for t in self.rows():
            i = t - 1
            share = [f"{100 * self.parts[name][i] / self.energy[i]:.0f} %" for name in names]
            ratios = [f"{ratio[i]:.3f}" for ratio in self.ratios.values()]
            bits = str(self.baselines[-1].bits[i])
            counts = [f"{self.synops[i]:,.0f}", f"{self.updates[i]:,.0f}"]
            lines.append([str(t), *counts, *share, f"{self.energy[i] / 1e6:.3f}", *ratios, bits])
        said = textwrap.wrap(self.verdict, 110, break_on_hyphens=False)
        return "\n".join([*table(lines, ">"), f"{self.samples:,} samples; all per sample", *said])

    def layer_table(self, timesteps: int | None = None) -> str:
        """A line for each layer, at the longest run or another.

        Raises:
            ValueError: ``timesteps`` that were not run.
        """
        t = self.timesteps if timesteps is None else timesteps
        if t not in range(1, self.timesteps + 1):
            raise InputError(f"timesteps must be from 1 to {self.timesteps}, those that were evaluated; got {t!r}")
        total = self.energy[t - 1]
        lines = [["layer", "SynOps", "updates", "µJ", "share"]]
        for layer in self.layers:
            synops, updates, energy = (curve[t - 1] for curve in (layer.synops, layer.updates, layer.energy))
            share = f"{100 * energy / total:.1f} %"
            lines.append([layer.where, f"{synops:,.0f}", f"{updates:,.0f}", f"{energy / 1e6:.3f}", share])
        return "\n".join(table(lines, ">"))

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        told = {"energy": self.energy, "ratios": self.ratios, "verdict": self.verdict}
        found: dict[str, Any] = plain({"format": "respike cost 1", **asdict(self), **told})
        return found


def _named(baseline: Baseline) -> str:
    own = f" ({baseline.bits[-1]} bits)" if baseline.name == QUANTISED else ""
    return f"the {baseline.name}{own}"


def _times(ratio: float) -> str:
    return f"{100 * ratio:.0f} % of" if ratio < 1 else f"{ratio:.1f} times"


def _where(more: Any) -> str:
    """At which numbers of timesteps."""
    steps = [int(i) + 1 for i in np.flatnonzero(more)]
    if len(steps) == len(more):
        return "at every number of timesteps"
    if steps == list(range(steps[0], len(more) + 1)):
        return f"from {steps[0]} on"
    return f"at {_listed([str(t) for t in steps])} timesteps"


def _listed(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
