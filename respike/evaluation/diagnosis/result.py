"""What a diagnosis found."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from ...figures.errors_by_layer import diagnosis_figure
from ...figures.style import save
from ...text import table
from ..formatting import as_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 110
HEAD = ("error", "propagated", "correction", "clipping", "quantisation", "unevenness")
BEHIND = ("Pearson", "saturated", "silent", "dead", "alone", "best")

Cause = Literal[
    "threshold too high",
    "threshold too low",
    "dead",
    "never active",
    "bias shifted",
    "weights changed",
    "readout changed",
    "beyond calibration",
    "timesteps too few",
    "clipping",
    "quantisation",
    "unevenness",
]


@dataclass(frozen=True)
class Part:
    """One cause of a layer's error.

    Attributes:
        rms: Root mean square of what it makes of the output, in the ANN's units.
        share: Of the layer's squared error, <part, error> / <error, error>: the shares of all causes add up to 1. A
            negative one makes up for others.
    """

    rms: float
    share: float


@dataclass(frozen=True)
class Trial:
    """The layer by itself: exactly what the ANN sends arrives, evenly over time, so that no other layer's fault shows.

    It runs for the T that the network was calibrated for: whether another T suits it is another question. Errors are
    root mean squares of output minus ANN's, in units of the root mean square of the ANN's output.

    Attributes:
        now: The layer as it is.
        threshold: With the thresholds that have the least error.
        correction: With the ANN's weights, no bias and V_0 of half a spike.
        best: With both.
        factor: How many times those thresholds the present ones are, at the channels where it matters.
        shift: Mean of what weights, bias and V_0 add to the current, in units of the ANN's active outputs.
        evenly: Share of what they add that is the same at all positions of a channel; the mean square's.
        lost: Share of the ANN's squared output at which this layer is silent.
        beyond: Share of it at outputs larger than all that calibration saw; 0 if that is not known.
        reach: How many times the largest output that calibration saw it reaches, at the channels where it matters.
    """

    now: float
    threshold: float
    correction: float
    best: float
    factor: float
    shift: float
    evenly: float
    lost: float
    beyond: float = 0.0
    reach: float = 1.0


@dataclass(frozen=True)
class LayerDiagnosis:
    """One spiking layer.

    Attributes:
        name: The name of its node.
        where: Its place in the user's model.
        neuron: Its kind.
        max_spikes: The most spikes a step.
        neurons: How many there are.
        threshold: Lowest, mean and highest θ.
        error: Root mean square of decoded output minus the ANN's, in the ANN's units.
        scale: Root mean square of the ANN's output.
        parts: The error by cause: ``propagated``, ``correction``, ``clipping``, ``quantisation``, ``unevenness``.
        pearson: Correlation of output and ANN's, over values; None if one of them is constant.
        saturated: Share of outputs at the highest rate.
        silent: Share of neurons that never fire.
        dead: Share of the neurons active in the ANN that never fire.
        rates: Share of outputs by rate, in 20 equal bins from 0 to the highest rate.
        trial: The layer by itself; None if it is never active in the ANN.
    """

    name: str
    where: str
    neuron: str
    max_spikes: int
    neurons: int
    threshold: tuple[float, float, float]
    error: float
    scale: float
    parts: dict[str, Part]
    pearson: float | None
    saturated: float
    silent: float
    dead: float
    rates: tuple[float, ...]
    trial: Trial | None

    @property
    def relative(self) -> float:
        """The error in units of the ANN's output; 0 if both are."""
        return self.error / self.scale if self.scale else float(self.error > 0)


@dataclass(frozen=True)
class Finding:
    """What is wrong, or what error there is, and what to do.

    Attributes:
        cause: The cause in a few words, from a fixed list.
        fault: Whether something is broken; else it tells what dominates in a network that is in order.
        layer: The layer's node name; None if it is about the network.
        text: A sentence or two, with the numbers it rests on.
        suggestion: What to change, as Python: an option of ``respike.from_torch``, or a call; empty if nothing helps.
    """

    cause: Cause
    fault: bool
    layer: str | None
    text: str
    suggestion: str


@dataclass(frozen=True)
class Diagnosis:
    """The error of each layer, split by cause, and the findings that follow from it.

    Attributes:
        samples: How many samples it rests on.
        timesteps: T.
        calibrated: T that the network was calibrated for.
        schedule: The network's schedule.
        agreement: Share of samples on which SNN and ANN decide alike; None if the output is no class scores, or the ANN
            decides the same for all samples.
        output_error: Root mean square of output minus ANN's, in units of the ANN's standard deviation over samples.
        propagated: The output's error with the ANN's own weights behind the last spiking layers, that is without the
            error of the readout.
        layers: The layers, in the order of the network.
        findings: Faults first, in the order of the network.
    """

    samples: int
    timesteps: int
    calibrated: int
    schedule: str
    agreement: float | None
    output_error: float
    propagated: float
    layers: tuple[LayerDiagnosis, ...]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings about something broken; none if the network is in order."""
        return tuple(finding for finding in self.findings if finding.fault)

    def __str__(self) -> str:
        return _table(self)

    def as_dict(self) -> dict[str, Any]:
        """Everything, in lists and numbers."""
        return {"format": "respike diagnosis 1", **asdict(self)}

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """The result as JSON text, also written to ``path`` if given."""
        return as_json(self.as_dict(), path)

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Each layer's error by cause, as a figure, also written to ``path`` (png, svg, pdf) if given."""
        figure = diagnosis_figure(self)
        if path is not None:
            save(figure, path)
        return figure


def _table(diagnosis: Diagnosis) -> str:
    """A line for each layer, what the numbers are, and the findings."""
    rows = [["layer", *HEAD, *BEHIND], *(_row(layer) for layer in diagnosis.layers)]
    lines = table(rows, "<>")
    agreement = "" if diagnosis.agreement is None else f", {100 * diagnosis.agreement:.2f} % decided as the ANN"
    lines += [
        f"{diagnosis.samples:,} samples, T = {diagnosis.timesteps}, {diagnosis.schedule}{agreement}; "
        f"the output is off by {_percent(diagnosis.output_error)}",
        *textwrap.wrap(
            "error: of the decoded output, in % of the ANN's root mean square; then each cause's share of its square; "
            "alone: the error with exact, even input; best: the same with thresholds and correction at their best"
            + ("" if diagnosis.timesteps == diagnosis.calibrated else f", both at T = {diagnosis.calibrated}"),
            WIDTH,
        ),
    ]
    for finding in diagnosis.findings:
        lines += ["", *textwrap.wrap(finding.text, WIDTH)]
        lines += [f"  -> {finding.suggestion}"] if finding.suggestion else []
    return "\n".join(lines)


def _row(layer: LayerDiagnosis) -> list[str]:
    parts = [f"{100 * layer.parts[name].share:.0f} %" for name in HEAD[1:]]
    pearson = "-" if layer.pearson is None else f"{layer.pearson:.3f}"
    shares = [_percent(x) for x in (layer.saturated, layer.silent, layer.dead)]
    trial = ["-", "-"] if layer.trial is None else [_percent(layer.trial.now), _percent(layer.trial.best)]
    return [layer.where, _percent(layer.relative), *parts, pearson, *shares, *trial]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
