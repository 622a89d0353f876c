"""What an evaluation found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..convert.count.arithmetic_work import Work
from ..errors import InputError
from ..figures.accuracy import accuracy_figure
from ..figures.style import save
from ..text import table
from .cost import ENERGY_45NM, Cost, EnergyModel, cost_of
from .formatting import as_json, plain, steps_worth_a_line
from .layer_activity import Curve, LayerActivity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = "respike evaluation 1"
_CURVES = ("accuracy", "spikes", "synops", "macs", "agreement", "float32_agreement", "error")


@dataclass(frozen=True)
class Evaluation:
    """Accuracy and cost against the number of timesteps; entry t − 1 of every curve belongs to t steps.

    Attributes:
        samples: How many samples were judged.
        schedule: With ``"layerwise"`` and ``"pipelined"`` t counts steps per layer; the latency is ``latency``.
        accuracy: Share of right answers; R² if the outputs are judged by their error; or the mean of the user's metric.
        ann_accuracy: The ANN's accuracy; None if no ANN was given.
        agreement: Share of samples on which SNN and ANN decide alike; None without ANN or decisions.
        float32_agreement: Share on which the network decides as it does in float32; None if that was not asked.
        spikes: Spikes of all neurons per sample up to t.
        synops: Synaptic operations per sample up to t: each spike times the synapses behind its neuron.
        macs: Multiply-accumulates per sample up to t on analog values: the first layer's input, once.
        ann_macs: Multiply-accumulates of the ANN per sample.
        input_work: Work on the constant input per sample, needed once, and on reading the answer.
        input_macs: The multiply-accumulates of it whose value is not zero.
        step_work: Work per sample on analog values in each timestep.
        ann_work: Work of the ANN per sample.
        ann_needed_macs: The multiply-accumulates of it whose value is not zero; None if no ANN was given, or one that
            does not compute exactly the products of the network that was converted.
        neurons: Number of spiking neurons.
        latency: Total timesteps until the answer after t steps is there.
        layers: Activity of each layer.
        metric: Name of what ``accuracy`` holds: ``"accuracy"``, ``"R2"``, or the user's.
        error: The error against the ANN, where outputs are judged by it: root mean square, in units of the ANN's
            standard deviation over samples, the root of the mean square over outputs; else None.
        judged: The note about it below the table; empty where the highest of several scores decides.
        sums: What the means were made from, whole numbers and exact sums, and digests of network, ANN and data: what
            ``respike.evaluation.merge`` needs.
    """

    samples: int
    schedule: str
    accuracy: Curve
    ann_accuracy: float | None
    spikes: Curve
    synops: Curve
    macs: Curve
    ann_macs: int
    input_work: Work
    input_macs: float
    step_work: Work
    ann_work: Work
    ann_needed_macs: float | None
    neurons: int
    latency: NDArray[np.int64]
    layers: tuple[LayerActivity, ...]
    metric: str = "accuracy"
    agreement: Curve | None = None
    float32_agreement: Curve | None = None
    error: Curve | None = None
    judged: str = ""
    sums: dict[str, Any] | None = None

    @property
    def timesteps(self) -> int:
        """The longest run."""
        return len(self.accuracy)

    @property
    def spikes_per_neuron(self) -> Curve:
        """Mean spikes per neuron and sample up to t."""
        return self.spikes / self.neurons

    def steps_to_within(self, points: float) -> int | None:
        """The smallest t from which on the accuracy stays within ``points`` percentage points of the ANN's."""
        if self.ann_accuracy is None:
            return None
        short = np.flatnonzero(self.accuracy < self.ann_accuracy - points / 100 - 1e-12)
        first = 1 if not len(short) else int(short[-1]) + 2
        return first if first <= self.timesteps else None

    def rows(self) -> list[int]:
        """The timesteps worth a line: powers of two, and the last."""
        return steps_worth_a_line(self.timesteps)

    def __str__(self) -> str:
        return _table(self, [(self, t) for t in self.rows()])

    def cost(self, energy: EnergyModel | None = None) -> Cost:
        """The operations and the energy of the network, compared with three ANNs.

        Args:
            energy: The energy of each operation; ``respike.evaluation.ENERGY_45NM`` by default.
        """
        return cost_of(self, energy or ENERGY_45NM)

    def as_dict(self) -> dict[str, Any]:
        """Everything, in lists and numbers."""
        return {"format": FORMAT, **plain(asdict(self))}

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """The result as JSON text, also written to ``path`` if given."""
        return as_json(self.as_dict(), path)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> Evaluation:
        """A result that ``to_json`` wrote, or ``respike evaluate --json``.

        Raises:
            InputError: the file is no JSON, or holds something else, or something is missing in it.
            FileNotFoundError: it is not there.
        """
        place = Path(path)
        try:
            found = json.loads(place.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise InputError(f"{place} is not a JSON file, nor any text") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place} is not a JSON file: {error}") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise InputError(f"{place} is not an evaluation; write one with respike evaluate MODEL --json > FILE.json")
        try:
            return _read(found)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place} is a damaged evaluation ({type(error).__name__}: {error})") from error

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Accuracy and cost against timesteps, as a figure, also written to ``path`` (png, svg, pdf) if given."""
        figure = accuracy_figure(self)
        if path is not None:
            save(figure, path)
        return figure


def _read(found: Mapping[str, Any]) -> Evaluation:
    known = {field.name: found[field.name] for field in fields(Evaluation) if field.name in found}
    for name in _CURVES:
        if known.get(name) is not None:
            known[name] = np.array(known[name], dtype=np.float64)
    known["latency"] = np.array(known["latency"], dtype=np.int64)
    for name in ("input_work", "step_work", "ann_work"):
        known[name] = Work(**known[name])
    known["layers"] = tuple(LayerActivity(**(layer | _curves_of(layer))) for layer in known["layers"])
    return Evaluation(**known)


def _curves_of(layer: Mapping[str, Any]) -> dict[str, Curve]:
    return {name: np.array(layer[name], dtype=np.float64) for name in ("spikes", "synops", "direct")}


def comparison(results: Sequence[Evaluation]) -> str:
    """A table with one row for each result, at its longest run: networks calibrated for different T."""
    return _table(results[0], [(result, result.timesteps) for result in results])


def _table(first: Evaluation, rows: list[tuple[Evaluation, int]]) -> str:
    lines = [["T", "latency", first.metric, "agreement", "as float32", "error", "spikes", "per neuron", "SynOps"]]
    lines[0].append("SynOps/ANN MACs")
    lines += [_row(result, t) for result, t in rows]
    if first.ann_accuracy is not None:
        ann = ["ANN", "-", _score(first, first.ann_accuracy), "-", "-", "-", "-", "-", f"{first.ann_macs:,} MACs", "1"]
        lines.append(ann)
    left_out = {1} if all(result.latency[t - 1] == t for result, t in rows) else set()
    left_out |= {3} if all(result.error is not None for result, _ in rows) else set()
    left_out |= {4} if all(result.float32_agreement is None for result, _ in rows) else set()
    left_out |= {5} if all(result.error is None for result, _ in rows) else set()
    lines = [[cell for k, cell in enumerate(line) if k not in left_out] for line in lines]
    judged = f"; {first.judged}" if first.judged else ""
    return "\n".join([*table(lines, ">"), f"{first.samples:,} samples; spikes and SynOps per sample{judged}"])


def _row(result: Evaluation, t: int) -> list[str]:
    i = t - 1
    return [
        str(t),
        str(result.latency[i]),
        _score(result, result.accuracy[i]),
        _percent(result.agreement, i),
        _percent(result.float32_agreement, i),
        _percent(result.error, i),
        f"{result.spikes[i]:,.0f}",
        f"{result.spikes_per_neuron[i]:.3f}",
        f"{result.synops[i]:,.0f}",
        f"{result.synops[i] / result.ann_macs:.3f}" if result.ann_macs else "-",
    ]


def _percent(curve: Curve | None, i: int) -> str:
    return "-" if curve is None else f"{100 * curve[i]:.2f} %"


def _score(result: Evaluation, value: float) -> str:
    return f"{100 * value:.2f} %" if result.metric == "accuracy" else f"{value:.4g}"
