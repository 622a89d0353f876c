"""What ``timesteps="auto"`` tried, what it chose, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ... import text
from ..options import Preference


def code(neuron: str, max_spikes: int) -> str:
    """The neuron and the length of its bursts: ``iaf x4``."""
    return neuron if max_spikes == 1 else f"{neuron} x{max_spikes}"


@dataclass(frozen=True)
class Trial:
    """One code at one T, judged on samples that it was not calibrated on.

    Attributes:
        timesteps: T.
        neuron: As in ``from_torch``.
        max_spikes: As in ``from_torch``.
        agreement: Share of samples on which SNN and ANN decide alike, of half of them if these rule the target out;
            None if it is judged by its error.
        synops: Synaptic operations per sample.
        reached: Whether the agreement, or the error, is what was asked for.
        error: Relative error of the outputs, see ``judging``; None if it is judged by decisions.
    """

    timesteps: int
    neuron: str
    max_spikes: int
    agreement: float | None
    synops: float
    reached: bool
    error: float | None = None

    @property
    def missing(self) -> float:
        """What is missing: the relative error, or the share of samples that are decided otherwise."""
        return self.error or 0.0 if self.agreement is None else 1 - self.agreement

    @property
    def judged(self) -> str:
        """The agreement, or the error, in words."""
        return f"error {100 * self.missing:.2f} %" if self.agreement is None else f"{100 * self.agreement:.2f} %"

    @property
    def code(self) -> str:
        """The neuron and the length of its bursts: ``iaf x4``."""
        return code(self.neuron, self.max_spikes)

    def cost(self, prefer: Preference) -> tuple[float, float]:
        """What is to be small, then what breaks ties."""
        pair = (self.synops, float(self.timesteps))
        return pair if prefer == "synops" else pair[::-1]

    def __str__(self) -> str:
        return f"{self.code} at T = {self.timesteps}: {self.judged} for {self.synops:,.0f} SynOps"


@dataclass(frozen=True)
class Choice:
    """The cheapest T and code that were found, and what they were held against.

    Attributes:
        chosen: The trial of the T and code that the network was converted with.
        within: Points of agreement with the ANN that were allowed to be missing, or percent of relative error.
        prefer: What was to be small: ``"synops"`` or ``"latency"``.
        samples: How many samples judged each trial.
        trials: In the order tried.
    """

    chosen: Trial
    within: float
    prefer: Preference
    samples: int
    trials: tuple[Trial, ...]

    @property
    def timesteps(self) -> int:
        """T."""
        return self.chosen.timesteps

    @property
    def neuron(self) -> str:
        """As in ``from_torch``."""
        return self.chosen.neuron

    @property
    def max_spikes(self) -> int:
        """As in ``from_torch``."""
        return self.chosen.max_spikes

    @property
    def agreement(self) -> float | None:
        """Share of samples on which SNN and ANN decided alike; None if errors counted."""
        return self.chosen.agreement

    @property
    def error(self) -> float | None:
        """Relative error of the outputs; None if decisions counted."""
        return self.chosen.error

    @property
    def synops(self) -> float:
        """Synaptic operations per sample."""
        return self.chosen.synops

    @property
    def reason(self) -> str:
        """Why this one, in a sentence."""
        least = "the fewest SynOps" if self.prefer == "synops" else "the smallest T"
        said = (
            f"{self.chosen.code} at T = {self.timesteps} has {least} of all that {goal(self.chosen, self.within)} "
            f"{self.samples:,} calibration samples"
        )
        others = [t for t in self.trials if t.reached and t.code != self.chosen.code]
        if not others:
            return said
        second = min(others, key=lambda t: t.cost(self.prefer))
        ratio = f", at {second.synops / self.synops:.2f} times the SynOps" if self.synops else ""
        return f"{said}; next is {second.code} at T = {second.timesteps}{ratio}"

    def __str__(self) -> str:
        return f"{table(self.trials, self.chosen)}\n{textwrap.fill(self.reason, 110)}"

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        asked = {"within": self.within, "prefer": self.prefer, "samples": self.samples, "reason": self.reason}
        return {**asdict(self.chosen), **asked, "trials": [asdict(t) for t in self.trials]}


def goal(trial: Trial, within: float, s: str = "") -> str:
    """What is asked of candidates, or with ``s`` of one: the beginning of a phrase that ends with the samples."""
    if trial.agreement is None:
        return f"give{s} the ANN's output within a relative error of {within:g} % on"
    return f"decide{s} as the ANN on at least {100 - within:g} % of"


def table(trials: Sequence[Trial], chosen: Trial | None = None) -> str:
    """A line for each trial: the codes in the order tried, each by T; what reached the target is marked."""
    codes = list(dict.fromkeys(t.code for t in trials))
    by = "error" if any(t.agreement is None for t in trials) else "agreement"
    rows = [("neuron", "T", by, "SynOps", "")]
    for t in sorted(trials, key=lambda t: (codes.index(t.code), t.timesteps)):
        mark = "chosen" if t == chosen else "reached" if t.reached else ""
        share = t.missing if t.agreement is None else t.agreement
        rows.append((t.code, str(t.timesteps), f"{100 * share:.2f} %", f"{t.synops:,.0f}", mark))
    return "\n".join(text.table(rows, "<>>><"))
