"""How to convert."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from .. import checks
from ..errors import ConversionError
from ..judging import Judge
from ..run.arithmetic import PRECISIONS, Precision, check_holds
from ..run.neurons import NeuronOptions
from ..run.schedules import Schedule

Preference = Literal["synops", "latency"]


@dataclass(frozen=True)
class Options:
    """How to convert; the names are those of ``respike.from_torch`` and of the command line.

    Raises:
        ConversionError: a value out of range.
    """

    timesteps: int = 16
    threshold: Literal["mse", "max", "percentile"] = "mse"
    percentile: float = 99.9
    granularity: Literal["channel", "layer"] = "channel"
    schedule: Schedule = "synchronous"
    correction: Literal["none", "bias", "ridge"] = "ridge"
    seed: int = 0
    samples: int = 512
    neurons: NeuronOptions = field(default_factory=NeuronOptions)
    within: float | None = None
    judge: Judge = "auto"
    prefer: Preference = "synops"
    delay: int = 1
    budget: float | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        choices = {
            "threshold": ("mse", "max", "percentile"),
            "granularity": ("channel", "layer"),
            "schedule": get_args(Schedule),
            "correction": ("none", "bias", "ridge"),
            "prefer": get_args(Preference),
            "precision": PRECISIONS,
            "judge": get_args(Judge),
        }
        for name, allowed in choices.items():
            checks.one_of(name, getattr(self, name), allowed)
        percent = ", above 0 and at most 100 (percent)"
        settled: dict[str, float | None] = {
            "timesteps": checks.whole("timesteps", self.timesteps, 1, checks.STEPS, ", or 'auto'"),
            "delay": checks.whole("delay", self.delay, 0, checks.STEPS),
            "samples": checks.whole("samples", self.samples, 1),
            "seed": checks.seed(self.seed),
            "percentile": checks.number("percentile", self.percentile, percent, above=0, most=100),
        }
        if self.within is not None:
            bounds = ", 0 or more and below 100 (percent)"
            settled["within"] = checks.number("within", self.within, bounds, low=0, below=100)
        if self.budget is not None:
            more = ", 1 or more: times the synaptic operations of the plain network"
            settled["budget"] = checks.number("budget", self.budget, more, low=1)
        checks.whole("max_spikes", self.neurons.max_spikes, 1, checks.STEPS)
        for name, value in settled.items():  # numpy's numbers become Python's
            object.__setattr__(self, name, value)
        if self.delay != 1 and self.schedule != "pipelined":
            raise ConversionError(f"delay belongs to schedule='pipelined'; the schedule is {self.schedule!r}")
        check_holds(self.precision, self.neurons)
        if self.budget is not None and self.neurons.neuron == "multi_threshold":
            raise ConversionError("budget is not supported for neuron='multi_threshold', which sends one spike a step")
