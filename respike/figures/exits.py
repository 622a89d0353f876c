"""The figure of an early exit: what each threshold costs and saves, and when samples stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from .style import BLUE, GREY, ORANGE, RED, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Exits(Protocol):
    """What is drawn of an early exit, see ``respike.evaluation.ExitEvaluation``."""

    @property
    def samples(self) -> int: ...
    @property
    def timesteps(self) -> int: ...
    @property
    def score(self) -> str: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def fixed_accuracy(self) -> float: ...
    @property
    def latency(self) -> float: ...
    @property
    def stopped(self) -> Sequence[int]: ...
    @property
    def curve(self) -> Sequence[tuple[float, float]]: ...


def exit_figure(result: Exits, title: str = "") -> Figure:
    """Accuracy against mean latency for all thresholds (left), and how many samples stop when (right).

    Args:
        result: Of ``evaluate_exit``.
        title: Above both panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    latency, accuracy = zip(*result.curve, strict=True)
    left.plot(latency, [100 * a for a in accuracy], color=BLUE, label=f"thresholds of the {result.score}")
    chosen = f"chosen: {100 * result.accuracy:.2f} % in {result.latency:.2f} steps"
    left.plot([result.latency], [100 * result.accuracy], color=ORANGE, marker="o", linestyle="none", label=chosen)
    fixed = f"all {result.timesteps} steps: {100 * result.fixed_accuracy:.2f} %"
    left.axhline(100 * result.fixed_accuracy, color=RED, linestyle="--", linewidth=1.2, label=fixed)
    # Thresholds that stop at the first guess would take the rest of the panel away.
    left.set_ylim(max(min(100 * a for a in accuracy), 100 * result.fixed_accuracy - 10), None)
    left.set_xlabel("mean latency (timesteps)")
    left.set_ylabel("accuracy (%)")
    left.set_title(f"accuracy against latency, {result.samples:,} samples", fontsize=10)
    left.legend(frameon=False, loc="lower right", fontsize=9)
    steps = range(1, result.timesteps + 1)
    right.bar(steps, [100 * n / result.samples for n in result.stopped], color=BLUE)
    right.axvline(result.latency, color=GREY, linestyle=":", label=f"mean {result.latency:.2f}")
    right.set_xlabel("timestep")
    right.set_ylabel("samples that stop (%)")
    right.set_title("when samples stop", fontsize=10)
    right.legend(frameon=False, loc="upper right", fontsize=9)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        tidy(axes)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
