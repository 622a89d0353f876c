"""How to convert, once T and the neuron are known."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import checks
from .neuron_options import NeuronOptions
from .values import MSE, Correction, Granularity, Schedule, Threshold, Value, one_of, option, whole


@dataclass(frozen=True)
class Options(Value):
    """How to convert, once T and the neuron are known.

    Attributes:
        timesteps: T.
        threshold: How thresholds are chosen.
        schedule: The plain name.
        delay: Of a pipelined network.
        neurons: The neuron.
        correction: What may change so that what arrives gives what the ANN has.
        samples: Most calibration samples used.
        seed: Random seed for the sample order.
    """

    timesteps: int = option(16, whole(1, checks.STEPS, ", or 'auto'"), "Timesteps to calibrate for.")
    threshold: Threshold = field(default_factory=MSE)
    schedule: Schedule = option("synchronous", one_of(Schedule), "When layers run.")
    delay: int = 1
    neurons: NeuronOptions = field(default_factory=NeuronOptions)
    correction: Correction = option(
        "ridge", one_of(Correction), "What may change so that a layer reproduces the ANN's currents."
    )
    samples: int = option(512, whole(1), "Most calibration samples used.")
    seed: int = option(0, lambda _, value: checks.seed(value), "Random seed for the sample order.")

    @property
    def granularity(self) -> Granularity:
        """What has a threshold of its own."""
        return self.threshold.granularity
