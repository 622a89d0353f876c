"""Measured lines beside the formulas that they follow."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from .style import CYCLE, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def line_figure(
    x: Tensor,
    lines: Mapping[str, Tensor],
    formulas: Sequence[Tensor] = (),
    *,
    formula: str = "formula",
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
) -> Figure:
    """Lines against ``x``, each in its colour; formulas as thin dashed black lines on top.

    Args:
        x: ``(K,)``.
        lines: By name, ``(K,)`` each.
        formulas: ``(K,)`` each.
        formula: What the legend calls them.
        xlabel, ylabel, title: Labels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for (name, line), colour in zip(lines.items(), itertools.cycle(CYCLE)):
        axes.plot(x, line, color=colour, linewidth=2.2, alpha=0.85, label=name)
    for number, line in enumerate(formulas):
        axes.plot(x, line, color="black", linestyle="--", linewidth=1.0, label="" if number else formula)
    if not x.is_floating_point():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    tidy(axes)
    return figure
