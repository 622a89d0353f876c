"""Setting thresholds, and the one with the least squared error, found by trying."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from ..layers.kernels import Drive
from .errors import ConversionError, ConversionWarning
from .neurons import SpikingReLU
from .options import Options
from .pipelined import move_ahead

GRID = 24
FINE = 6


def require_finite(values: Tensor, where: str) -> None:
    """Refuse activations of the layer there that are NaN or infinite."""
    if not bool(torch.isfinite(values).all()):
        raise ConversionError(
            f"{where}: the ANN's activations are not finite on the calibration data; "
            "look for NaN or infinite values in the inputs and the weights"
        )


def set_thresholds(neuron: SpikingReLU, values: Tensor, options: Options) -> None:
    """Set thresholds; channels that never fire take the layer's median, so that they still can."""
    if options.granularity == "layer" or not neuron.threshold.dim():
        values = values.max().reshape(1)
    alive = values > 0
    if not bool(alive.any()):
        warnings.warn(
            f"{neuron.where} never fires on the calibration data; its threshold is set to 1",
            ConversionWarning,
            stacklevel=5,
        )
        values = torch.ones_like(values)
    else:
        values = torch.where(alive, values, values[alive].median())
    neuron.set_threshold(values)


def best_threshold(currents: Tensor, target: Tensor, neuron: SpikingReLU, options: Options) -> Tensor:
    """Per channel (or for the layer) the θ with the least mean squared error of the decoded output.

    The neurons are run on the currents that really arrive, so the error holds clipping, quantisation and
    unevenness alike. It has many local minima: a grid over (0, 1.1·max] finds the valley, a finer one
    around its lowest point the bottom.

    Args:
        currents: ``(T, S, C)``, or ``(1, S, C)`` if the current is constant or the schedule layerwise.
        target: The ANN's activations, ``(S, C)``.
        neuron: Whose bias and kind count.
        options: T, schedule and granularity.

    Returns:
        ``(C,)`` or ``(1,)``; zero for channels that are never active.
    """
    highest = target.amax(0) / neuron.options.max_spikes
    if options.granularity == "layer":
        highest = highest.max().reshape(1)
    start = neuron.start.flatten()
    currents = currents + neuron.bias.flatten()

    def error(theta: Tensor) -> Tensor:
        safe = torch.where(theta > 0, theta, torch.ones_like(theta))
        squares = (decoded(currents, safe, start, neuron, options) - target).square().mean(0)
        return squares.mean().reshape(1) if options.granularity == "layer" else squares

    best, least = highest.clone(), error(highest)
    coarse = torch.arange(1, GRID + 1) / GRID * 1.1
    for fraction in coarse:
        best, least = _better(highest * fraction, error, best, least)
    width = 1.1 / GRID / (FINE + 1)
    centre = best
    for k in [*range(-FINE, 0), *range(1, FINE + 1)]:
        best, least = _better(centre + highest * width * k, error, best, least)
    return best


def _better(theta: Tensor, error: Callable[[Tensor], Tensor], best: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    value = error(theta)
    lower = (value < least) & (theta > 0)
    return torch.where(lower, theta, best), torch.where(lower, value, least)


def decoded(currents: Tensor, theta: Tensor, start: Tensor, neuron: SpikingReLU, options: Options) -> Tensor:
    """Output after T steps, ``(S, C)``, of neurons like ``neuron`` with these thresholds and starts."""
    trial = neuron.trial(theta, start)
    if options.schedule == "layerwise" or (len(currents) == 1 and neuron.options.neuron == "iaf"):
        count = trial.count(currents[0], torch.tensor(float(options.timesteps), device=currents.device))
        return count * theta / options.timesteps
    if options.schedule == "pipelined" and len(currents) > 1:
        currents = move_ahead(currents, options.delay)
    spikes, _ = trial.run(Drive(currents, options.timesteps))
    return spikes.sum(0) * theta / options.timesteps
