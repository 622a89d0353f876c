"""Options that have options of their own: small frozen values, each with defaults, checks and help of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from .. import checks

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


def one_of(words: Any) -> Callable[[str, Any], Any]:
    return lambda name, value: checks.one_of(name, value, get_args(words))


def whole(low: int, high: int | None = None, other: str = "") -> Callable[[str, Any], int]:
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

    granularity: Granularity = option("channel", one_of(Granularity), "What has a threshold of its own.", kw_only=True)


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
    delay: int = option(1, whole(0, checks.STEPS), "Head start of each layer, in timesteps.")


def tau_mem_field() -> Any:
    return option(20.0, lambda name, x: checks.number(name, x, ", above 0", above=0), "Time constant, in timesteps.")


def levels_field() -> Any:
    return option(4, whole(1, 8), "How many weights a spike can have.")


@dataclass(frozen=True)
class LIF(Value):
    """Leaky neurons with leak compensation, as the option ``neuron``; the layer is ``respike.layers.LIF``.

    >>> respike.LIF(tau_mem=10).tau_mem
    10

    Attributes:
        tau_mem: Membrane time constant in timesteps.
    """

    name: ClassVar[str] = "lif"
    tau_mem: float = tau_mem_field()


@dataclass(frozen=True)
class MultiThreshold(Value):
    """Neurons whose spikes have the weights θ, θ/2, ... and either sign.

    >>> respike.MultiThreshold(levels=3)
    MultiThreshold(levels=3)

    Attributes:
        levels: How many weights there are.
    """

    name: ClassVar[str] = "multi_threshold"
    levels: int = levels_field()


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
    prefer: Preference = option("synops", one_of(Preference), "What is made small.")
    judge: Judge = option("auto", one_of(Judge), "How outputs are judged: by decisions, by errors, or as fits them.")
