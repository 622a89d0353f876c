"""How to convert, once T and the neuron are known."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import checks
from .neuron_options import NeuronOptions
from .values import MSE, Correction, Granularity, Precision, Schedule, Threshold, Value, one_of, option, whole


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
        samples: Most samples that calibrate, beside those that are held back to judge the result.
        seed: Random seed for the sample order.
        precision: In what synapses compute after conversion.
        population: The most ReLUs for each smooth function; None: these are functions of means.
        memory_budget: Bytes that calibration may take; None: a quarter of what is free, at most 2 GiB.
    """

    timesteps: int = option(
        16,
        whole(1, checks.STEPS, ", or 'auto'"),
        "Timesteps to calibrate for; auto finds the cheapest that decide as the ANN, and the neuron.",
    )
    threshold: Threshold = field(
        default_factory=MSE,
        metadata={"help": "Thresholds by the least squared error at T, or by the ANN's activations."},
    )
    schedule: Schedule = option(
        "synchronous",
        one_of(Schedule),
        "Whether layers run at once, wait for their whole input, or start one after the other.",
    )
    delay: int = 1
    neurons: NeuronOptions = field(default_factory=NeuronOptions)
    correction: Correction = option(
        "ridge", one_of(Correction), "What may change so that layers reproduce the ANN: nothing, biases, weights too."
    )
    samples: int = option(512, whole(1), "Most samples that calibrate, beside those that judge the result.")
    seed: int = option(0, lambda _, value: checks.seed(value), "Random seed for the sample order.")
    precision: Precision = option(
        "float32", one_of(Precision), "Number format in which synapses compute; spikes are exact in all."
    )
    population: int | None = option(
        None,
        lambda name, x: None if x is None else checks.whole(name, x, 1, checks.POPULATION, ", or None"),
        "Makes of GELU, SiLU and other smooth activations sums of at most so many ReLUs, for iaf neurons.",
    )
    memory_budget: int | None = option(
        None,
        checks.bytes_or_none,
        "Most bytes that calibration takes, and runs of the network; by default a quarter of what is free, for "
        "calibration at most 2 GiB.",
    )

    @property
    def granularity(self) -> Granularity:
        """What has a threshold of its own."""
        return self.threshold.granularity
