"""Where a neuron starts and what is added to its current: V_0 and bias, chosen together with θ.

A bias b adds T·b to the sum of T steps, V_0 adds to it once, and at once. For a constant current only
V_0 + T·b matters; for one that comes unevenly it matters when charge is there: who starts lower waits for more of the
current before the first spike, which cannot be taken back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..options import Options
from ..run.neurons import SpikingReLU
from .decoded_output import decoded, trial_errors

STARTS = (0.2, 0.35, 0.65)
"""V_0 in units of the smallest spike that are tried beside ½."""
FACTORS = (0.85, 0.93, 1.0, 1.07, 1.15)
"""θ that are tried with each, in units of the best one for ½."""
EARLY = 0.85
"""V_0 of neurons whose current is constant, in units of a spike."""
SWEEPS = 8


def choose_start(currents: Tensor, target: Tensor, neuron: SpikingReLU, options: Options) -> None:
    """Set, in each channel, V_0 and with it θ for the least squared error of the decoded output.

    What V_0 lacks of half a spike is given back over the T steps by the bias, so that a constant current is
    rounded all the same.

    Args:
        currents: ``(T, S, C)``, as for ``best_threshold``.
        target: The ANN's activations, ``(S, C)``.
        neuron: With thresholds and bias.
        options: T, schedule and granularity.
    """
    theta, bias = neuron.threshold.flatten(), neuron.bias.flatten()
    highest = torch.inf if neuron.cap is None else neuron.cap / neuron.options.max_spikes

    # The first is what there is; of equals the first is taken.
    pairs = [(1.0, 0.5), *((f, s) for s in STARTS for f in (FACTORS if options.granularity == "channel" else (1.0,)))]
    thresholds = torch.stack([theta if f == 1.0 else (theta * f).clamp(max=highest) for f, _ in pairs])
    starts = torch.tensor([[s] for _, s in pairs], dtype=theta.dtype, device=theta.device)
    biases = bias + _rest(starts, thresholds, neuron, options)
    errors = trial_errors(currents, target, thresholds, starts, biases, neuron, options)
    least, best, chosen = errors[0], thresholds[0].expand(len(errors[0])), starts[0].expand(len(errors[0]))
    for error, threshold, start in zip(errors[1:], thresholds[1:], starts[1:], strict=True):
        lower = error < least
        least, best = torch.where(lower, error, least), torch.where(lower, threshold, best)
        chosen = torch.where(lower, start, chosen)
    if options.granularity == "channel":
        neuron.set_threshold(best)
    neuron.start = neuron.spread(chosen)
    neuron.bias = neuron.bias + neuron.spread(_rest(chosen, neuron.threshold.flatten(), neuron, options))


def start_early(currents: Tensor, target: Tensor, neuron: SpikingReLU, options: Options) -> None:
    """Set V_0 of neurons whose current is constant near a whole spike.

    For a constant current V_0 and what the bias gives back round the count of T steps as half a spike does. But the
    spikes come earlier, and the layers behind, which cannot take back what they send, know more when they begin.
    """
    del currents, target
    if options.schedule == "layerwise" or neuron.options.neuron in ("lif", "multi_threshold"):
        return
    start = torch.full_like(neuron.start, EARLY)
    neuron.bias = neuron.bias + neuron.spread(_rest(start.flatten(), neuron.threshold.flatten(), neuron, options))
    neuron.start = start


def _rest(start: Tensor, threshold: Tensor, neuron: SpikingReLU, options: Options) -> Tensor:
    """The bias that gives over T steps what V_0 lacks of half a spike."""
    return (0.5 - start) * threshold * (neuron.options.finest / options.timesteps)


def sweep_bias(currents: Tensor, target: Tensor, held: Tensor, neuron: SpikingReLU, options: Options) -> None:
    """Move the bias until the decoded output is right on average, in each channel where that lessens its error.

    A bias that makes the current right on average does not make the output so: neurons that fire too early cannot take
    it back. So what the output still misses, where it or the target is active and not both are clipped, is added
    to the bias, again and again, for as long as the error on the samples held back falls.

    Args:
        currents: ``(T, S, C)``, as for ``best_threshold``.
        target: The ANN's activations, ``(S, C)``.
        held: Which of the S are held back, ``(S,)``.
        neuron: With thresholds and V_0.
        options: T and schedule.
    """
    theta, start = neuron.threshold.flatten(), neuron.start.flatten()
    top = theta * neuron.options.max_spikes * (1 - 1e-6)

    def output(bias: Tensor) -> Tensor:
        return decoded(currents, theta, start, bias, neuron, options)

    def error(found: Tensor) -> Tensor:
        return (found - target)[held].square().mean(0)

    bias = neuron.bias.flatten().expand(target.shape[-1])
    found = output(bias)
    least = error(found)
    for _ in range(SWEEPS):
        active = ((target > 0) | (found > 0)) & ~((found >= top) & (target >= top))
        if neuron.two_sided:
            active = ~((found.abs() >= top) & (target.abs() >= top))
        matters = active & ~held[:, None]
        step = ((target - found) * matters).sum(0) / matters.sum(0).clamp(min=1)
        moved = output(bias + step)
        lower = error(moved) < least
        if not bool(lower.any()):
            break
        bias = torch.where(lower, bias + step, bias)
        found = torch.where(lower, moved, found)
        least = error(found)
    neuron.bias = neuron.spread(bias)
