"""How to convert."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from .choice import Preference
from .errors import ConversionError
from .neurons import NeuronOptions
from .precision import PRECISIONS, Precision, check_holds
from .settings import one_of, whole

Schedule = Literal["synchronous", "layerwise", "pipelined"]


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
    within: float = 0.5
    prefer: Preference = "synops"
    delay: int = 1
    budget: float | None = None
    precision: Precision | Literal["auto"] = "float32"

    def __post_init__(self) -> None:
        choices = {
            "threshold": ("mse", "max", "percentile"),
            "granularity": ("channel", "layer"),
            "schedule": get_args(Schedule),
            "correction": ("none", "bias", "ridge"),
            "prefer": get_args(Preference),
            "precision": (*PRECISIONS, "auto"),
        }
        for name, allowed in choices.items():
            one_of(name, getattr(self, name), allowed)
        object.__setattr__(self, "timesteps", whole("timesteps", self.timesteps, 1, ", or 'auto'"))
        object.__setattr__(self, "delay", whole("delay", self.delay, 0))
        if self.delay != 1 and self.schedule != "pipelined":
            raise ConversionError(f"delay belongs to schedule='pipelined'; the schedule is {self.schedule!r}")
        if not 0 < self.percentile <= 100:
            raise ConversionError(f"percentile must be above 0 and at most 100, got {self.percentile}")
        if not 0 <= self.within < 100:
            raise ConversionError(f"within must be at least 0 and below 100 points of agreement, got {self.within}")
        check_holds(self.precision, self.neurons)
        if self.budget is not None:
            self._check_budget(self.budget)
        if self.samples < 1:
            raise ConversionError(f"samples must be 1 or more, got {self.samples}")

    def _check_budget(self, budget: float) -> None:
        if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 1 <= budget < math.inf:
            raise ConversionError(
                "budget must be a number, 1 or more: times the synaptic operations of the plain network; "
                f"got {budget!r}"
            )
        if self.neurons.neuron == "multi_threshold":
            raise ConversionError(
                "a multi_threshold neuron sends one spike a step: with it there is no budget to spend"
            )
