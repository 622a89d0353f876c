"""What a neuron did, step by step: current, membrane potential with threshold, spikes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import InputError
from ..layers import SpikingLayer
from .style import BLUE, GREY, ORANGE, RED, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Trace:
    """One neuron over T timesteps, which count from 1.

    Attributes:
        current: What it was given, ``(T,)``.
        potential: The membrane potential at the start and after each timestep, ``(T + 1,)``. Where the reset
            comes in the timestep that fires, this is the potential after the reset.
        threshold: What the potential was held against, ``(T,)``; None for a neuron that does not fire.
        spikes: What it sent, ``(T,)``; zeros for a neuron that does not fire.
    """

    current: Tensor
    potential: Tensor
    threshold: Tensor | None
    spikes: Tensor

    @property
    def spike_steps(self) -> list[int]:
        """The timesteps that fired."""
        return [step + 1 for step in self.spikes.nonzero().flatten().tolist()]


@torch.no_grad()
def trace(neuron: SpikingLayer, current: Tensor) -> Trace:
    """Run one neuron from its initial state and keep everything; the neuron itself stays as it is.

    Args:
        neuron: Any neuron.
        current: ``(T,)``, or ``(1, T, 1)`` as from ``respike.layers.curves.stimuli``.

    Raises:
        ValueError: a current for more than one neuron.
    """
    steps = current.shape[1] if current.dim() > 1 else len(current)
    if current.numel() != steps:
        raise InputError(f"a trace is of one neuron: current must be (T,) or (1, T, 1), got {tuple(current.shape)}")
    twin = copy.deepcopy(neuron)
    twin.record_states = True
    twin.reset_states()
    drive = current.reshape(1, steps, 1)
    spikes = twin(drive).flatten()
    start = twin.initial_state(twin.membrane, drive[:, 0]).flatten()
    potential = torch.cat([start, twin.recordings[twin.membrane].flatten()])
    threshold = _thresholds(twin, drive)
    return Trace(drive.flatten(), potential, threshold, torch.zeros_like(spikes) if threshold is None else spikes)


def _thresholds(twin: SpikingLayer, drive: Tensor) -> Tensor | None:
    moving = twin.recordings.get("spike_threshold")
    if moving is not None:  # as it is after a step, while the step was held against the one before
        first = twin.initial_state("spike_threshold", drive[:, 0])
        return torch.cat([first.flatten(), moving.flatten()[:-1]])
    fixed = getattr(twin, "threshold", getattr(twin, "spike_threshold", None))
    return None if fixed is None else fixed.detach().flatten().expand(drive.shape[1])


def trace_figure(
    traces: Trace | Mapping[str, Trace], *, dt: float = 1.0, time: str = "timestep", title: str = ""
) -> Figure:
    """Current, membrane potential and spikes below each other; several traces side by side on the same scales.

    A potential that is reset in the timestep that fires is drawn up to the threshold first.

    Args:
        traces: One, or several by name.
        dt: Length of a timestep in units of ``time``.
        time: Label of the time axis, say ``"time (ms)"``.
        title: Above all panels.
    """
    from matplotlib.figure import Figure

    named = {"": traces} if isinstance(traces, Trace) else dict(traces)
    width = 7.0 if len(named) == 1 else 3.4 * len(named)
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    grid = figure.subplots(3, len(named), sharex="col", sharey="row", squeeze=False, height_ratios=[1, 2.4, 0.6])
    for column, (name, one) in zip(grid.T, named.items(), strict=True):
        _column(column[0], column[1], column[2], one, dt)
        column[0].set_title(name, fontsize=10)
        column[2].set_xlabel(time)
    for axes, label in zip(grid[:, 0], ("current", "membrane\npotential", "spikes"), strict=True):
        axes.set_ylabel(label)
    figure.legend(
        *grid[1, 0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside lower center", ncols=2
    )
    figure.align_ylabels(grid[:, 0])
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _line(one: Trace, edges: Tensor) -> tuple[Tensor, Tensor]:
    """The potential with its way up to the threshold, where the reset came before it was recorded."""
    if one.threshold is None:
        return edges, one.potential
    hidden = torch.cat([torch.tensor([False]), (one.spikes > 0) & (one.potential[1:] < one.threshold)])
    peaks = torch.cat([one.potential[:1], one.threshold])
    both = torch.stack([torch.where(hidden, peaks, one.potential), one.potential], 1)
    return edges.repeat_interleave(2), both.flatten()


def _column(above: Axes, middle: Axes, below: Axes, one: Trace, dt: float) -> None:
    edges = dt * torch.arange(len(one.potential))
    ends = edges[1:]  # what a timestep leads to is drawn at its end
    above.stairs(one.current, edges, color=ORANGE, linewidth=1.6, baseline=None)
    above.axhline(0, color=GREY, linewidth=0.8)
    middle.plot(*_line(one, edges), color=BLUE, linewidth=1.4, label="membrane potential")
    if one.threshold is not None:
        middle.stairs(one.threshold, edges, color=RED, linestyle="--", linewidth=1.2, baseline=None, label="threshold")
    fired = one.spikes != 0
    below.vlines(ends[fired], 0, one.spikes[fired], color="black", linewidth=1.6)
    below.set_yticks([])
    below.set_ylim(bottom=0, top=None if fired.any() else 1)
    for axes in (above, middle, below):
        tidy(axes)
    below.grid(False)
    below.spines["left"].set_visible(False)
