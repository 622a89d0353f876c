"""Currents to try a neuron with: step, pulse and spike train, each ``(1, time, ...)``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import InputError
from ..constants import as_tensor, whole


def step(num_steps: int, amplitude: float | Tensor = 1.0, start: int = 0, stop: int | None = None) -> Tensor:
    """A constant current from timestep ``start`` up to, but without, ``stop``; 0 outside.

    >>> stimuli.step(5, amplitude=0.5, start=1, stop=4).flatten()
    tensor([0.0000, 0.5000, 0.5000, 0.5000, 0.0000])

    Args:
        num_steps: T >= 1.
        amplitude: The current; a tensor ``(...)`` for one value per neuron.
        start: First timestep with current, from 0.
        stop: First one without again; None for no end.

    Returns:
        ``(1, T, ...)``, with one neuron where ``amplitude`` is a number.

    Raises:
        ValueError: ``num_steps`` is below 1, or not 0 <= start <= stop <= num_steps.
    """
    stop = num_steps if stop is None else stop
    if not 0 <= start <= stop <= num_steps:
        raise InputError(f"start and stop must be in order within 0 and num_steps={num_steps}, got {start} and {stop}")
    return _currents(num_steps, amplitude, range(start, stop))


def pulse(
    num_steps: int, amplitude: float | Tensor = 1.0, start: int = 0, width: int = 1, period: int | None = None
) -> Tensor:
    """A current that is on for ``width`` timesteps from ``start``, once or every ``period``.

    >>> stimuli.pulse(6, start=1, period=3).flatten()
    tensor([0., 1., 0., 0., 1., 0.])

    Args:
        num_steps: T >= 1.
        amplitude: The current; a tensor ``(...)`` for one value per neuron.
        start: First timestep of the first pulse, from 0.
        width: Timesteps per pulse; what reaches beyond the end is cut off.
        period: Timesteps from pulse to pulse; None for a single one.

    Returns:
        ``(1, T, ...)``, with one neuron where ``amplitude`` is a number.

    Raises:
        ValueError: ``num_steps`` or ``width`` is below 1, ``start`` is not a timestep, or pulses overlap.
    """
    if not 0 <= start < max(num_steps, 1):
        raise InputError(f"start must be one of the {num_steps} timesteps, counted from 0, got {start}")
    if width < 1 or (period is not None and period < width):
        raise InputError(f"width must be 1 or more and period at least as long, got {width} and {period}")
    starts = range(start, start + 1) if period is None else range(start, num_steps, period)
    return _currents(num_steps, amplitude, [at + k for at in starts for k in range(width) if at + k < num_steps])


def spike_train(num_steps: int, times: Sequence[int], amplitude: float | Tensor = 1.0) -> Tensor:
    """A current of ``amplitude`` at each of ``times``; a time that is given twice counts twice.

    >>> stimuli.spike_train(5, times=[0, 3, 3]).flatten()
    tensor([1., 0., 0., 2., 0.])

    Args:
        num_steps: T >= 1.
        times: Timesteps, from 0.
        amplitude: The current of a spike; a tensor ``(...)`` for one value per neuron.

    Returns:
        ``(1, T, ...)``, with one neuron where ``amplitude`` is a number.

    Raises:
        ValueError: ``num_steps`` is below 1, or a time is not one of the timesteps.
    """
    outside = [time for time in times if not 0 <= time < num_steps]
    if num_steps >= 1 and outside:
        raise InputError(f"times must be timesteps from 0 to {num_steps - 1}, got {outside[0]}")
    return _currents(num_steps, amplitude, times)


def _currents(num_steps: int, amplitude: float | Tensor, times: Sequence[int]) -> Tensor:
    num_steps = whole("num_steps", num_steps, 1)
    amplitude = as_tensor(amplitude)
    amplitude = amplitude.reshape(1) if amplitude.dim() == 0 else amplitude
    counts = torch.bincount(torch.tensor(list(times), dtype=torch.long), minlength=num_steps).to(amplitude.dtype)
    return counts.reshape(1, -1, *[1] * amplitude.dim()) * amplitude
