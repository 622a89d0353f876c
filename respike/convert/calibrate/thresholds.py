"""Setting thresholds, and the one with the least squared error, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import ConversionError, warn
from ..options import Options
from ..run.neurons import SpikingReLU
from .decoded_output import trial_errors

GRID, HIGHEST = 32, 1.5
"""How many thresholds are tried first, evenly up to that many times the largest activation."""
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
        warn(f"{neuron.where} never fires on the calibration data; its threshold is set to 1")
        values = torch.ones_like(values)
    else:
        values = torch.where(alive, values, values[alive].median())
    neuron.set_threshold(values)


def best_threshold(currents: Tensor, target: Tensor, neuron: SpikingReLU, options: Options) -> Tensor:
    """Per channel (or for the layer) the θ with the least mean squared error of the decoded output.

    The neurons are run on the currents that really arrive, so the error holds clipping, quantisation and
    unevenness alike. It has many local minima: a grid over (0, 1.5·max] finds the valley, a finer one
    around its lowest point the bottom.

    Args:
        currents: ``(T, S, C)``, or ``(1, S, C)`` if the current is constant or the schedule layerwise.
        target: The ANN's activations, ``(S, C)``.
        neuron: Whose bias and kind count.
        options: T, schedule and granularity.

    Returns:
        ``(C,)`` or ``(1,)``; zero for channels that are never active.
    """
    if options.granularity == "layer":
        return best_threshold_of_layer(lambda: [(currents, target, neuron)], options)
    bias, start = neuron.bias.flatten(), neuron.start.flatten()

    def errors(trials: list[Tensor]) -> list[Tensor]:
        thetas = torch.stack(trials)
        found = trial_errors(currents, target, _safe(thetas), start, bias, neuron, options)
        return list(found.unbind())

    return _search(_largest(target, neuron).amax(0) / neuron.options.max_spikes, errors)


Parts = Callable[[], Iterable[tuple[Tensor, Tensor, SpikingReLU]]]


def best_threshold_of_layer(parts: Parts, options: Options) -> Tensor:
    """The one θ with the least mean squared error over all channels, ``(1,)``, found as ``best_threshold`` finds it.

    Args:
        parts: Gives, each time it is called, currents, targets and neurons of groups of channels, as for
            ``best_threshold``, that make up the layer.
        options: T and schedule.
    """
    highest = (
        torch.stack([_largest(target, part).max() / part.options.max_spikes for _, target, part in parts()])
        .max()
        .reshape(1)
    )

    def errors(trials: list[Tensor]) -> list[Tensor]:
        thetas, channels = _safe(torch.stack(trials)), 0
        totals = torch.zeros_like(thetas, dtype=torch.double)
        for currents, target, part in parts():
            bias, start = part.bias.flatten(), part.start.flatten()
            found = trial_errors(currents, target, thetas, start, bias, part, options)
            totals += found.expand(len(trials), target.shape[1]).sum(1, keepdim=True)
            channels += target.shape[1]
        return list((totals / channels).unbind())

    return _search(highest, errors)


def _largest(target: Tensor, neuron: SpikingReLU) -> Tensor:
    """What is sent, without the sign."""
    return target.abs() if neuron.two_sided else target


def _safe(theta: Tensor) -> Tensor:
    """Channels that are never active have no threshold: any will do to try the others."""
    return torch.where(theta > 0, theta, torch.ones_like(theta))


def _search(highest: Tensor, errors: Callable[[list[Tensor]], list[Tensor]]) -> Tensor:
    """The θ with the least error, for each entry of ``highest``; ``errors`` gives those of several at once."""
    coarse = [highest, *(highest * fraction for fraction in torch.arange(1, GRID + 1) / GRID * HIGHEST)]
    best, least = _best(coarse, errors(coarse))
    width = HIGHEST / GRID / (FINE + 1)
    fine = [best + highest * width * k for k in [*range(-FINE, 0), *range(1, FINE + 1)]]
    return _best([best, *fine], [least, *errors(fine)])[0]


def _best(trials: list[Tensor], errors: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The first is taken unless another one above 0 has a lower error."""
    best, least = trials[0], errors[0]
    for theta, value in zip(trials[1:], errors[1:], strict=True):
        lower = (value < least) & (theta > 0)
        best, least = torch.where(lower, theta, best), torch.where(lower, value, least)
    return best, least
