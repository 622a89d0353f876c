"""Which neuron fired when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from .style import RED, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def raster_figure(spikes: Mapping[str, Tensor], *, ylabel: str = "neuron", title: str = "") -> Figure:
    """A stroke for each spike, neurons upwards and timesteps to the right; negative spikes are red.

    Args:
        spikes: By name, ``(T, neurons)`` each; drawn side by side.
        ylabel: What the rows are.
        title: Above all panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.4, 3.2 * len(spikes)), 3.4), layout="constrained")
    panels = figure.subplots(1, len(spikes), squeeze=False)[0]
    for axes, (name, one) in zip(panels, spikes.items(), strict=True):
        timesteps, neurons = one.shape
        for sign, colour in ((1, "black"), (-1, RED)):
            step, neuron = (one * sign > 0).nonzero(as_tuple=True)
            axes.vlines(step + 1, neuron - 0.38, neuron + 0.38, color=colour, linewidth=1.4)
        axes.set(xlim=(0, timesteps + 1), ylim=(-0.7, neurons - 0.3), xlabel="timestep")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_title(name, fontsize=10)
        tidy(axes)
        axes.grid(False)
    panels[0].set_ylabel(ylabel)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
