"""The figure of transfer curves: neurons beside the ReLU they stand in for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..layers import IAF, LIF, SingleSpike, transfer_curve
from .style import CYCLE, GREY, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curve_figure(
    timesteps: Sequence[int] = (4, 16, 64), taus: Sequence[float] = (5.0, 20.0), points: int = 601
) -> Figure:
    """IAF for several T; LIF for several τ, without and with leak compensation; residuals below.

    Currents are in units of the threshold. The clipped ReLU is what a neuron with at most one spike a
    step can reach; the residual is the neuron's rate minus it.
    """
    from matplotlib.figure import Figure

    current = torch.linspace(-0.5, 1.5, points)
    longest = max(timesteps)
    panels: list[tuple[str, list[tuple[str, Tensor]]]] = [
        ("IAF, θ/2 start", [(f"T = {t}", _rate(_iaf(), current, t)) for t in timesteps]),
        (f"LIF, T = {longest}", [(f"τ = {tau:g}", _rate(_lif(tau, False), current, longest)) for tau in taus]),
        (
            f"LIF with leak compensation, T = {longest}",
            [(f"τ = {tau:g}", _rate(_lif(tau, True), current, longest)) for tau in taus],
        ),
    ]
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    grid = figure.subplots(2, len(panels), sharex=True, sharey="row", height_ratios=[2.2, 1])
    for column, (title, curves) in enumerate(panels):
        _panel(grid[0, column], grid[1, column], title, curves, current)
    grid[0, 0].set_ylabel("firing rate (spikes per step)")
    grid[1, 0].set_ylabel("rate − clipped ReLU")
    return figure


def _panel(above: Axes, below: Axes, title: str, curves: list[tuple[str, Tensor]], current: Tensor) -> None:
    clipped = current.clamp(0, 1)
    above.plot(current, current.clamp(min=0), color=GREY, linestyle=":", linewidth=1.2, label="ReLU")
    above.plot(current, clipped, color="black", linestyle="--", linewidth=1.2, label="clipped ReLU")
    for (name, rate), colour in zip(curves, CYCLE, strict=False):
        above.plot(current, rate, color=colour, linewidth=1.4, label=name)
        below.plot(current, rate - clipped, color=colour, linewidth=1.0)
    below.axhline(0, color="black", linewidth=0.8)
    above.set_title(title, fontsize=10)
    above.set_ylim(-0.05, 1.3)
    below.set_xlabel("constant current (thresholds per step)")
    above.legend(frameon=False, fontsize=9, loc="upper left")
    tidy(above)
    tidy(below)


def _rate(neuron: LIF, current: Tensor, timesteps: int) -> Tensor:
    return transfer_curve(neuron, current, timesteps)


def _iaf() -> LIF:
    return IAF(spike_fn=SingleSpike, v_init=0.5)


def _lif(tau: float, compensated: bool) -> LIF:
    return LIF(tau, spike_fn=SingleSpike, norm_input=False, v_init=0.5, leak_compensation=compensated)
