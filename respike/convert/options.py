"""How to convert."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .errors import ConversionError
from .neurons import NeuronOptions


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
    schedule: Literal["synchronous", "layerwise"] = "synchronous"
    correction: Literal["none", "bias", "ridge"] = "bias"
    seed: int = 0
    samples: int = 512
    neurons: NeuronOptions = field(default_factory=NeuronOptions)

    def __post_init__(self) -> None:
        choices = {
            "threshold": ("mse", "max", "percentile"),
            "granularity": ("channel", "layer"),
            "schedule": ("synchronous", "layerwise"),
            "correction": ("none", "bias", "ridge"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConversionError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if not isinstance(self.timesteps, int) or self.timesteps < 1:
            raise ConversionError(f"timesteps must be 1 or more, a whole number, got {self.timesteps!r}")
        if not 0 < self.percentile <= 100:
            raise ConversionError(f"percentile must be above 0 and at most 100, got {self.percentile}")
        if self.samples < 1:
            raise ConversionError(f"samples must be 1 or more, got {self.samples}")
