"""The figure of transfer curves: neurons beside the ReLU they stand in for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..layers import IAF, LIF, SingleSpike, transfer_curve
from .style import CYCLE, GREY, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Panels = dict[str, dict[str, Tensor]]
"""Curves by label, in panels by title."""


def curves(timesteps: Sequence[int], taus: Sequence[float], points: int = 601) -> tuple[Tensor, Panels]:
    """Constant currents ``(points,)`` in thresholds per step, and the firing rates of IAF and LIF neurons.

    IAF for several T; LIF, with and without leak compensation, for several τ at the largest T.
    """
    current, longest = torch.linspace(-0.5, 1.5, points), max(timesteps)

    def lif(compensated: bool) -> dict[str, Tensor]:
        return {f"τ = {tau:g}": transfer_curve(_lif(tau, compensated), current, longest) for tau in taus}

    iaf = IAF(spike_fn=SingleSpike, v_init=0.5)
    return current, {
        "IAF, θ/2 start": {f"T = {t}": transfer_curve(iaf, current, t) for t in timesteps},
        f"LIF, T = {longest}": lif(False),
        f"LIF with leak compensation, T = {longest}": lif(True),
    }


def curve_figure(current: Tensor, panels: Panels) -> Figure:
    """The curves that ``curves`` returns, beside ReLU and clipped ReLU, and the residuals below.

    The clipped ReLU is what a neuron with at most one spike a step can reach; the residual is the
    neuron's rate minus it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.6), layout="constrained")
    grid = figure.subplots(2, len(panels), sharex=True, sharey="row", height_ratios=[2.2, 1])
    for column, (title, rates) in enumerate(panels.items()):
        _panel(grid[0, column], grid[1, column], title, rates, current)
    grid[0, 0].set_ylabel("firing rate (spikes per step)")
    grid[1, 0].set_ylabel("rate − clipped ReLU")
    return figure


def _panel(above: Axes, below: Axes, title: str, rates: dict[str, Tensor], current: Tensor) -> None:
    clipped = current.clamp(0, 1)
    above.plot(current, current.clamp(min=0), color=GREY, linestyle=":", linewidth=1.2, label="ReLU")
    above.plot(current, clipped, color="black", linestyle="--", linewidth=1.2, label="clipped ReLU")
    for (name, rate), colour in zip(rates.items(), itertools.cycle(CYCLE)):
        above.plot(current, rate, color=colour, linewidth=1.4, label=name)
        below.plot(current, rate - clipped, color=colour, linewidth=1.0)
    below.axhline(0, color="black", linewidth=0.8)
    above.set_title(title, fontsize=10)
    above.set_ylim(-0.05, 1.3)
    below.set_xlabel("constant current (thresholds per step)")
    above.legend(frameon=False, fontsize=9, loc="upper left")
    tidy(above)
    tidy(below)


def _lif(tau: float, compensated: bool) -> LIF:
    return LIF(tau, spike_fn=SingleSpike, norm_input=False, v_init=0.5, leak_compensation=compensated)
