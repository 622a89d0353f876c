"""The figure of an evaluation: accuracy and cost against timesteps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from .style import BLUE, GREEN, GREY, ORANGE, RED, SKY, tidy

LINES = (BLUE, ORANGE, GREEN, SKY, GREY)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Judged(Protocol):
    """What is drawn of an evaluation, see ``respike.evaluation.Evaluation``."""

    @property
    def samples(self) -> int: ...
    @property
    def schedule(self) -> str: ...
    @property
    def timesteps(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def accuracy(self) -> NDArray[np.float64]: ...
    @property
    def ann_accuracy(self) -> float | None: ...
    @property
    def agreement(self) -> NDArray[np.float64] | None: ...
    @property
    def synops(self) -> NDArray[np.float64]: ...
    @property
    def macs(self) -> NDArray[np.float64]: ...
    @property
    def ann_macs(self) -> int: ...


def accuracy_figure(results: Judged | Mapping[str, Judged], title: str = "") -> Figure:
    """Accuracy (left) and synaptic operations (right) against time, the ANN's as dashed lines.

    Accuracy is drawn as its distance from the ANN's, on an axis that is linear close to the ANN and logarithmic further
    away, so that 0.1 and 0.4 points below it can be told apart beside 90. Without an ANN it is drawn as it is.

    Args:
        results: One result, or several by name, say networks calibrated for different T.
        title: Above both panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    named = {"SNN": results} if not isinstance(results, Mapping) else dict(results)
    first = next(iter(named.values()))
    figure = Figure(figsize=(9.5, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    (_accuracy if first.ann_accuracy is None else _below_ann)(left, named)
    _cost(right, named)
    for axes in (left, right):
        tidy(axes)
        axes.set_xlabel("timesteps" if first.schedule == "synchronous" else "timesteps per layer")
        axes.set_xlim(0.5, max(result.timesteps for result in named.values()) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _accuracy(axes: Axes, named: dict[str, Judged]) -> None:
    first = next(iter(named.values()))
    percent = first.metric == "accuracy"
    for (name, result), colour in zip(named.items(), itertools.cycle(LINES)):
        values = 100 * result.accuracy if percent else result.accuracy
        axes.plot(_clock(result), values, color=colour, label=_final(name, named), marker="o", markersize=3)
    axes.set_ylabel(f"{first.metric} (%)" if percent else first.metric)
    axes.set_title(f"{first.metric} against time, {first.samples:,} samples", fontsize=10)
    axes.legend(frameon=False, loc="best", fontsize=9)


def _below_ann(axes: Axes, named: dict[str, Judged]) -> None:
    first = next(iter(named.values()))
    assert first.ann_accuracy is not None
    percent = first.metric == "accuracy"
    scale = 100 if percent else 1
    drawn = []
    for (name, result), colour in zip(named.items(), itertools.cycle(LINES)):
        drawn.append(scale * (result.accuracy - first.ann_accuracy))
        axes.plot(_clock(result), drawn[-1], color=colour, label=_final(name, named), marker="o", markersize=3)
    if len(named) == 1 and percent and first.agreement is not None:
        drawn.append(100 * (first.agreement - 1))
        label = "agreement with the ANN"
        axes.plot(_clock(first), drawn[-1], color=GREEN, linestyle=":", label=label)
    axes.axhline(0, color=RED, linestyle="--", linewidth=1.2, label=f"ANN: {_score(first, first.ann_accuracy)}")
    _distance_axis(axes, np.concatenate(drawn), _chance(first) if percent else None)
    axes.set_ylabel("percentage points from the ANN" if percent else f"{first.metric}, distance from the ANN")
    axes.set_title(f"{first.metric} beside the ANN's, {first.samples:,} samples", fontsize=10)
    axes.legend(frameon=False, loc="best", fontsize=9)


def _chance(result: Judged) -> float:
    """What the ANN's accuracy is off by with so few samples, in points and rounded up to a power of ten.

    Differences of less say little, so the axis does not enlarge them.
    """
    share = result.ann_accuracy or 0.0
    error = 100 * math.sqrt(max(share * (1 - share), 0.0) / max(result.samples, 1))
    return 10.0 ** max(math.ceil(math.log10(error)), -1) if error > 0 else 0.1


def _distance_axis(axes: Axes, distances: NDArray[np.float64], linear: float | None) -> None:
    """An axis on which distances of very different size can be told apart, 0 among them.

    Args:
        axes: Where they are drawn.
        distances: All of them.
        linear: Up to which size the axis is linear; None for three decades below the largest.
    """
    distances = distances[np.isfinite(distances)]
    lowest, highest = float(distances.min(initial=0)), float(distances.max(initial=0))
    largest = max(-lowest, highest)
    if linear is None:
        linear = 10.0 ** (math.ceil(math.log10(largest)) - 3) if largest > 0 else 1.0
    axes.set_yscale("symlog", linthresh=linear, linscale=0.8, subs=range(2, 10))
    axes.set_ylim(min(2 * lowest, -linear), max(2 * highest, 0.5 * linear))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")


def _cost(axes: Axes, named: dict[str, Judged]) -> None:
    first = next(iter(named.values()))
    for (name, result), colour in zip(named.items(), itertools.cycle(LINES)):
        label = f"{_label(name, named)}: SynOps (additions)" if len(named) == 1 else name
        axes.plot(_clock(result), result.synops / 1e6, color=colour, label=label, marker="o", markersize=3)
    axes.axhline(first.ann_macs / 1e6, color=RED, linestyle="--", linewidth=1.2, label="ANN: MACs (multiply + add)")
    if len(named) == 1 and first.macs.any():
        axes.plot(_clock(first), first.macs / 1e6, color=GREY, linestyle=":", label="SNN: MACs on the analog input")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("million per sample")
    axes.set_title("synaptic operations against time", fontsize=10)
    axes.legend(frameon=False, loc="best", fontsize=9)


def _clock(result: Judged) -> NDArray[np.int64]:
    return np.arange(1, result.timesteps + 1)


def _final(name: str, named: dict[str, Judged]) -> str:
    """What the legend says of a result: its name, and what it reaches in the end."""
    return f"{_label(name, named)}: {_score(named[name], float(named[name].accuracy[-1]))}"


def _score(result: Judged, value: float) -> str:
    return f"{100 * value:.2f} %" if result.metric == "accuracy" else f"{value:.4g}"


def _label(name: str, named: dict[str, Judged]) -> str:
    return name if len(named) == 1 else f"calibrated for {name}"
