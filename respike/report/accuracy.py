"""The figure of an evaluation: accuracy and cost against timesteps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..evaluation import Evaluation
from .style import BLUE, GREEN, GREY, RED, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_figure(result: Evaluation, title: str = "") -> Figure:
    """Left: accuracy and agreement with the ANN. Right: synaptic operations beside the ANN's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _accuracy(left, result)
    _cost(right, result)
    for axes in (left, right):
        tidy(axes)
        # A line of 1 to T steps, marked at whole steps.
        axes.set_xlabel("timesteps per layer" if result.schedule == "layerwise" else "timesteps")
        axes.set_xlim(left=0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _accuracy(axes: Axes, result: Evaluation) -> None:
    t = np.arange(1, result.timesteps + 1)
    percent = result.metric == "accuracy"
    scale = 100 if percent else 1
    marks = {"marker": "o", "markersize": 3.5} if result.timesteps <= 40 else {}
    axes.plot(t, scale * result.accuracy, color=BLUE, label=f"SNN {result.metric}", **marks)  # type: ignore[arg-type]
    if result.agreement is not None:
        axes.plot(t, 100 * result.agreement, color=GREEN, linestyle=":", label="agreement with the ANN")
    if result.ann_accuracy is not None:
        value = scale * result.ann_accuracy
        text = f"ANN {value:.2f} %" if percent else f"ANN {value:.4g}"
        axes.axhline(value, color=RED, linestyle="--", linewidth=1.2, label=text)
    axes.set_ylabel(f"{result.metric} (%)" if percent else result.metric)
    axes.set_title(f"{result.metric} against time, {result.samples:,} samples", fontsize=10)
    axes.legend(frameon=False, loc="lower right", fontsize=9)


def _cost(axes: Axes, result: Evaluation) -> None:
    t = np.arange(1, result.timesteps + 1)
    axes.plot(t, result.synops / 1e6, color=BLUE, label="SNN: SynOps (additions)")
    axes.axhline(result.ann_macs / 1e6, color=RED, linestyle="--", linewidth=1.2, label="ANN: MACs (multiply + add)")
    if result.macs.any():
        axes.plot(t, result.macs / 1e6, color=GREY, linestyle=":", label="SNN: MACs on the analog input")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("million per sample")
    axes.set_title("cost against time", fontsize=10)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
