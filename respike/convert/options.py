"""How to convert: every option with its default, its check and its help, which the command line takes from here too.

What belongs together is one small value: ``Percentile(99.9)``, ``Pipelined(delay=2)``, ``MultiThreshold(levels=3)``,
``Auto(within=1)``. Where such a value has defaults, its plain name stands for it: ``"percentile"``, ``"pipelined"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

import torch

from ..layers import equations
from ..layers.kernels import Rule
from . import checks
from .errors import ConversionError

Judge = Literal["auto", "decision", "error"]
Preference = Literal["synops", "latency"]
Granularity = Literal["channel", "layer"]
Correction = Literal["none", "bias", "ridge"]
Precision = Literal["float32", "bfloat16", "int8"]
Schedule = Literal["synchronous", "layerwise", "pipelined"]
NeuronName = Literal["iaf", "lif", "signed", "multi_threshold"]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def option(default: Any, check: Callable[[str, Any], Any], help_text: str, **more: Any) -> Any:
    """A field of an option: its default, the check that returns the value to keep, and a sentence for the help."""
    return field(default=default, metadata={"check": check, "help": help_text}, **more)


def _one_of(words: Any) -> Callable[[str, Any], Any]:
    return lambda name, value: checks.one_of(name, value, get_args(words))


def _whole(low: int, high: int | None = None, other: str = "") -> Callable[[str, Any], int]:
    return lambda name, value: checks.whole(name, value, low, high, other)


def _percent(name: str, value: Any) -> float:
    return checks.number(name, value, ", above 0 and at most 100 (percent)", above=0, most=100)


def _within(name: str, value: Any) -> float | None:
    bounds = ", 0 or more and below 100 (percent)"
    return None if value is None else checks.number(name, value, bounds, low=0, below=100)


@dataclass(frozen=True)
class Value:
    """An option with options of its own; checked when it is made.

    Raises:
        ConversionError: a value out of range.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for part in fields(self):
            if "check" in part.metadata:  # numpy's numbers become Python's
                object.__setattr__(self, part.name, part.metadata["check"](part.name, getattr(self, part.name)))


@dataclass(frozen=True)
class Threshold(Value):
    """How thresholds are chosen.

    Attributes:
        granularity: One threshold per ``"channel"`` or per ``"layer"``.
    """

    granularity: Granularity = option("channel", _one_of(Granularity), "What has a threshold of its own.", kw_only=True)


@dataclass(frozen=True)
class MSE(Threshold):
    """Thresholds with the least squared error at T on the currents that really arrive.

    >>> respike.MSE(granularity="layer")
    MSE(granularity='layer')
    """

    name: ClassVar[str] = "mse"


@dataclass(frozen=True)
class Max(Threshold):
    """Thresholds at the ANN's largest activation.

    >>> respike.Max()
    Max(granularity='channel')
    """

    name: ClassVar[str] = "max"


@dataclass(frozen=True)
class Percentile(Threshold):
    """Thresholds at a percentile of the ANN's positive activations.

    >>> respike.Percentile(99.5).percentile
    99.5

    Attributes:
        granularity: One threshold per ``"channel"`` or per ``"layer"``.
        percentile: Above 0 and at most 100.
    """

    name: ClassVar[str] = "percentile"
    percentile: float = option(99.9, _percent, "Percentile of the ANN's positive activations.")


@dataclass(frozen=True)
class Pipelined(Value):
    """Each layer starts ``delay`` steps after those that feed it, so that its first spikes rest on more input.

    The latency is T + ``delay`` for each layer but the first.

    >>> respike.Pipelined(delay=2)
    Pipelined(delay=2)

    Attributes:
        delay: In timesteps; 0 is synchronous, and from T − 1 on what integrate-and-fire neurons send is what they send
            layerwise; leaky ones lose more the longer they wait.
    """

    name: ClassVar[str] = "pipelined"
    delay: int = option(1, _whole(0, checks.STEPS), "Head start of each layer, in timesteps.")


def _tau_mem() -> Any:
    return option(20.0, lambda name, x: checks.number(name, x, ", above 0", above=0), "Time constant, in timesteps.")


def _levels() -> Any:
    return option(4, _whole(1, 8), "How many weights a spike can have.")


@dataclass(frozen=True)
class LIF(Value):
    """Leaky neurons with leak compensation, as the option ``neuron``; the layer is ``respike.layers.LIF``.

    >>> respike.LIF(tau_mem=10).tau_mem
    10

    Attributes:
        tau_mem: Membrane time constant in timesteps.
    """

    name: ClassVar[str] = "lif"
    tau_mem: float = _tau_mem()


@dataclass(frozen=True)
class MultiThreshold(Value):
    """Neurons whose spikes have the weights θ, θ/2, ... and either sign.

    >>> respike.MultiThreshold(levels=3)
    MultiThreshold(levels=3)

    Attributes:
        levels: How many weights there are.
    """

    name: ClassVar[str] = "multi_threshold"
    levels: int = _levels()


@dataclass(frozen=True)
class Auto(Value):
    """The smallest T, and the cheapest code, whose network does as the ANN on the calibration samples.

    >>> respike.Auto(within=1, prefer="latency")
    Auto(within=1, prefer='latency', judge='auto')

    Attributes:
        within: What may be missing: percentage points of agreement (0.5 by default), or, if errors are judged, percent
            of relative error (5 by default): the root mean square error in units of the standard deviation.
        prefer: The cheapest has the fewest synaptic operations (``"synops"``), or the smallest T (``"latency"``).
        judge: ``"decision"`` compares what is decided: the class of the highest score, or of a single score its sign
            (behind a sigmoid, whether it is above 0.5). ``"error"`` compares the values of the outputs. ``"auto"``:
            decisions, unless they say nothing, because one answer alone would agree often enough, or there is a single
            output without a sigmoid.
    """

    name: ClassVar[str] = "auto"
    within: float | None = option(
        None, _within, "What may be missing: points of agreement (0.5), or percent of relative error (5)."
    )
    prefer: Preference = option("synops", _one_of(Preference), "What is made small.")
    judge: Judge = option("auto", _one_of(Judge), "How outputs are judged: by decisions, by errors, or as fits them.")


@dataclass(frozen=True)
class NeuronOptions(Value):
    """Which neuron stands in for a ReLU, with all that it can be asked.

    Attributes:
        neuron: ``"iaf"``; ``"lif"`` with leak compensation; ``"signed"``, which can take spikes back; or
            ``"multi_threshold"``, whose spikes have one of ``levels`` weights and either sign.
        max_spikes: Most spikes per timestep; 1 is binary.
        tau_mem: Membrane time constant of ``"lif"``, in timesteps.
        levels: Weights θ, θ/2, ... of a spike of ``"multi_threshold"``.
    """

    neuron: NeuronName = option("iaf", _one_of(NeuronName), "The neuron.")
    max_spikes: int = option(1, _whole(1, checks.STEPS), "Most spikes of a neuron in one timestep.")
    tau_mem: float = _tau_mem()
    levels: int = _levels()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neuron == "multi_threshold" and self.max_spikes != 1:
            raise ConversionError("a multi_threshold neuron sends one spike a step; leave max_spikes at 1")

    @property
    def takes_back(self) -> bool:
        """Whether spikes can be negative."""
        return self.neuron in ("signed", "multi_threshold")

    @property
    def finest(self) -> float:
        """The smallest weight of a spike, in units of θ."""
        return 0.5 ** (self.levels - 1) if self.neuron == "multi_threshold" else 1.0

    @property
    def rule(self) -> Rule:
        """The neuron, for kernels."""
        alpha = float(equations.decay(torch.tensor(self.tau_mem))) if self.neuron == "lif" else None
        levels = self.levels if self.neuron == "multi_threshold" else 1
        return Rule(self.max_spikes, self.takes_back, levels, alpha)

    @property
    def values_per_step(self) -> int:
        """How many values one step can send."""
        if self.neuron == "multi_threshold":
            return 2 * self.levels + 1
        return self.max_spikes * (2 if self.takes_back else 1) + 1


NAMED: Mapping[str, Mapping[str, type[Value]]] = {
    "timesteps": {"auto": Auto},
    "threshold": {"mse": MSE, "max": Max, "percentile": Percentile},
    "schedule": {"pipelined": Pipelined},
    "neuron": {"lif": LIF, "multi_threshold": MultiThreshold},
}
"""For options that have values with options of their own: these, by the plain names that stand for them."""


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

    timesteps: int = option(16, _whole(1, checks.STEPS, ", or 'auto'"), "Timesteps to calibrate for.")
    threshold: Threshold = field(default_factory=MSE)
    schedule: Schedule = option("synchronous", _one_of(Schedule), "When layers run.")
    delay: int = 1
    neurons: NeuronOptions = field(default_factory=NeuronOptions)
    correction: Correction = option(
        "ridge", _one_of(Correction), "What may change so that a layer reproduces the ANN's currents."
    )
    samples: int = option(512, _whole(1), "Most calibration samples used.")
    seed: int = option(0, lambda _, value: checks.seed(value), "Random seed for the sample order.")

    @property
    def granularity(self) -> Granularity:
        """What has a threshold of its own."""
        return self.threshold.granularity


def threshold_of(given: Any) -> Threshold:
    """The threshold that a plain name stands for, or the value itself.

    Raises:
        ConversionError: anything else.
    """
    found = _value_of("threshold", given, Threshold)
    assert isinstance(found, Threshold)
    return found


def schedule_of(given: Any) -> tuple[Schedule, int]:
    """Plain name and delay of a schedule.

    Raises:
        ConversionError: anything else than a name or a value of ``Pipelined``.
    """
    if given in ("synchronous", "layerwise"):
        return given, 1
    found = _value_of("schedule", given, Pipelined, "synchronous", "layerwise")
    assert isinstance(found, Pipelined)
    return "pipelined", found.delay


def _value_of(option_name: str, given: Any, kind: type[Value], *others: str) -> Value:
    if isinstance(given, kind) and type(given) in NAMED[option_name].values():
        return given
    names = (*others, *NAMED[option_name])
    if isinstance(given, str):
        return NAMED[option_name][checks.one_of(option_name, given, names)]()
    values = " or ".join(f"respike.{made.__name__}(...)" for made in NAMED[option_name].values())
    raise ConversionError(f"{option_name} must be one of {', '.join(names)}, or {values}; got {checks.shown(given)}")


def gathered(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``from_torch`` from flat ones, as the command line and TOML files have them.

    Args:
        flat: Plain names for ``timesteps``, ``threshold``, ``schedule`` and ``neuron``, and beside them the options of
            the values that these stand for; other options are handed on. What does not belong to the chosen value is
            ignored, so that defaults may stand there.
    """
    own = {part.name for kinds in NAMED.values() for kind in kinds.values() for part in fields(kind)}
    found = {name: value for name, value in flat.items() if name not in own}
    for name, kinds in NAMED.items():
        kind = kinds.get(found[name]) if isinstance(found.get(name), str) else None
        if kind is not None:
            found[name] = kind(**{part.name: flat[part.name] for part in fields(kind) if part.name in flat})
    return found
