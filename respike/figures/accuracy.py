"""The figure of an evaluation: accuracy and cost against timesteps."""

from __future__ import annotations

import itertools
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

    Args:
        results: One result, or several by name, say networks calibrated for different T.
        title: Above both panels.
    """
    from matplotlib.figure import Figure

    named = {"SNN": results} if not isinstance(results, Mapping) else dict(results)
    first = next(iter(named.values()))
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _accuracy(left, named)
    _cost(right, named)
    for axes in (left, right):
        tidy(axes)
        axes.set_xlabel("timesteps" if first.schedule == "synchronous" else "timesteps per layer")
        axes.set_xlim(left=0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _accuracy(axes: Axes, named: dict[str, Judged]) -> None:
    first = next(iter(named.values()))
    percent = first.metric == "accuracy"
    scale = 100 if percent else 1
    for (name, result), colour in zip(named.items(), itertools.cycle(LINES)):
        values = scale * result.accuracy
        last = f"{values[-1]:.2f} %" if percent else f"{values[-1]:.4g}"
        label = f"{_label(name, named)}: {last}"
        axes.plot(_clock(result), values, color=colour, label=label, marker="o", markersize=3)
    if len(named) == 1 and first.agreement is not None:
        axes.plot(_clock(first), 100 * first.agreement, color=GREEN, linestyle=":", label="agreement with the ANN")
    if first.ann_accuracy is not None:
        value = scale * first.ann_accuracy
        text = f"ANN {value:.2f} %" if percent else f"ANN {value:.4g}"
        axes.axhline(value, color=RED, linestyle="--", linewidth=1.2, label=text)
    axes.set_ylabel(f"{first.metric} (%)" if percent else first.metric)
    axes.set_title(f"{first.metric} against time, {first.samples:,} samples", fontsize=10)
    axes.legend(frameon=False, loc="lower right", fontsize=9)


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
    axes.legend(frameon=False, loc="upper left", fontsize=9)


def _clock(result: Judged) -> NDArray[np.int64]:
    return np.arange(1, result.timesteps + 1)


def _label(name: str, named: dict[str, Judged]) -> str:
    return name if len(named) == 1 else f"calibrated for {name}"
