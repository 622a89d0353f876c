"""Every neuron's transfer curve beside its closed form and the ReLU, one small panel each."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import layers
from ..errors import InputError
from ..layers import MembraneReset, SingleSpike, SpikingLayer, closed_form, rheobase, transfer_curve
from .style import GREY, RED, SKY, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Make = Callable[[float, float], SpikingLayer]
"""A neuron from its time constant τ in timesteps and β = exp(−1/τ)."""

HARD: dict[str, Any] = {"spike_fn": SingleSpike, "reset_fn": MembraneReset(), "norm_input": False}
NEURONS: dict[str, tuple[str, Make]] = {
    "IAF": ("soft reset, θ/2 start", lambda tau, beta: layers.IAF(spike_fn=SingleSpike, v_init=0.5)),
    "ConstantLeakIAF": ("leak θ/5", lambda tau, beta: layers.ConstantLeakIAF(0.2, spike_fn=SingleSpike, v_init=0.5)),
    "LIF": ("reset to 0", lambda tau, beta: layers.LIF(tau, **HARD)),
    "ALIF": ("soft reset", lambda tau, beta: layers.ALIF(tau, 4 * tau, norm_input=False)),
    "TextbookLIF": ("refractory for 2 steps", lambda tau, beta: layers.TextbookLIF(tau, R=tau, t_ref=2.0)),
    "Lapicque": ("reset to 0", lambda tau, beta: layers.Lapicque(R=tau, C=1.0, reset_mechanism="zero")),
    "Leaky": ("reset to 0", lambda tau, beta: layers.Leaky(beta, reset_mechanism="zero")),
    "RLeaky": ("V = −0.5", lambda tau, beta: layers.RLeaky(beta, V=-0.5, all_to_all=False)),
    "Synaptic": ("soft reset", lambda tau, beta: layers.Synaptic(beta**2, beta)),
    "RSynaptic": ("V = −0.2", lambda tau, beta: layers.RSynaptic(beta**2, beta, V=-0.2, all_to_all=False)),
    "Stein": ("soft reset", lambda tau, beta: layers.Stein(beta**2, beta)),
    "Alpha": ("reset to 0", lambda tau, beta: layers.Alpha(beta, beta**4)),
    "SRM0": ("reset to 0", lambda tau, beta: layers.SRM0(beta, beta**4, reset_mechanism="zero")),
}
"""By class: what is particular to the setting, and how to make it."""


@dataclass(frozen=True)
class NeuronCurve:
    """One neuron's rates, in spikes per step, against ``drive``.

    Attributes:
        setting: What is particular to it.
        drive: Current that reaches the membrane per timestep, in thresholds; ``(points,)``.
        measured: From simulation.
        closed_form: From ``closed_form``; None where there is none.
        rheobase: The drive that it takes to fire; None where it is not known.
    """

    setting: str
    drive: Tensor
    measured: Tensor
    closed_form: Tensor | None
    rheobase: float | None

    def as_dict(self) -> dict[str, list[float] | float | str | None]:
        """The same in plain numbers."""
        form = None if self.closed_form is None else self.closed_form.tolist()
        numbers = {"drive": self.drive.tolist(), "measured": self.measured.tolist(), "closed_form": form}
        return {"setting": self.setting, **numbers, "rheobase": self.rheobase}


def neuron_curves(
    names: Sequence[str], timesteps: int = 64, tau: float = 5.0, points: int = 401
) -> dict[str, NeuronCurve]:
    """Curves by name, each neuron with a leak of ``tau`` timesteps and a threshold of 1.

    A synapse takes more than one step to pass a current on, so ``Synaptic`` and its like get the share of the
    drive that makes it reach their membrane in full.

    Raises:
        ValueError: a name that is not in ``NEURONS``, or a ``tau`` that forward Euler cannot follow.
    """
    unknown = [name for name in names if name not in NEURONS]
    if unknown:
        spelled = {name.lower(): name for name in NEURONS}
        near = difflib.get_close_matches(unknown[0].lower(), spelled, 1)
        hint = f"did you mean {spelled[near[0]]}? Known" if near else "known"
        raise InputError(f"unknown neuron {unknown[0]!r}; {hint} are {', '.join(NEURONS)}")
    drive, beta, found = torch.linspace(-0.5, 1.5, points), math.exp(-1 / tau), {}
    for name in names:
        setting, make = NEURONS[name]
        neuron = make(tau, beta)
        share = 1 - beta**2 if isinstance(neuron, layers.Synaptic) else 1.0
        limit, form = rheobase(neuron), closed_form(neuron, drive * share, timesteps)
        measured = transfer_curve(neuron, drive * share, timesteps)
        found[name] = NeuronCurve(setting, drive, measured, form, None if limit is None else limit.item() / share)
    return found


def neuron_figure(curves: dict[str, NeuronCurve], timesteps: int, tau: float) -> Figure:
    """Small multiples with one legend; a triangle marks the rheobase."""
    from matplotlib.figure import Figure

    columns = min(len(curves), 5)
    rows = math.ceil((len(curves) + (len(curves) > 1)) / columns)
    width, height = (6.0, 4.2) if len(curves) == 1 else (2.6 * columns, 2.3 * rows + 0.4)
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        _panel(axes, name, curve)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    if len(curves) == 1:
        panels[0].legend(handles, labels, frameon=False, fontsize=9, loc="upper left")
    else:
        panels[len(curves)].legend(handles, labels, frameon=False, fontsize=10, loc="center")
    for column in range(columns):  # the lowest panel of each column, which need not be in the last row
        lowest = max(row for row in range(rows) if row * columns + column < len(curves))
        grid[lowest, column].tick_params(labelbottom=True)
    figure.supxlabel("constant current that reaches the membrane (thresholds per step)", fontsize=10)
    figure.supylabel("firing rate (spikes per step)", fontsize=10)
    figure.suptitle(f"Transfer curves over {timesteps} steps, τ = {tau:g} steps", fontsize=11)
    return figure


def _panel(axes: Axes, name: str, curve: NeuronCurve) -> None:
    axes.plot(curve.drive, curve.drive.clamp(min=0), color=GREY, linestyle=":", linewidth=1.3, label="ReLU")
    axes.plot(curve.drive, curve.measured, color=SKY, linewidth=3, label="measured")
    form = curve.closed_form if curve.closed_form is not None else torch.full_like(curve.drive, math.nan)
    axes.plot(curve.drive, form, color="black", linestyle="--", linewidth=0.9, label="closed form")
    limit = math.nan if curve.rheobase is None else curve.rheobase
    axes.plot([limit], [-0.04], color=RED, marker="^", markersize=6, linestyle="none", clip_on=False, label="rheobase")
    axes.set_title(f"{name}: {curve.setting}", fontsize=9)
    axes.set_ylim(-0.08, 1.15)
    axes.tick_params(labelsize=8)
    tidy(axes)
