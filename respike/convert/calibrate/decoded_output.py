"""What a layer's output is in the end, with other thresholds, starts and biases than its own."""

from __future__ import annotations

import torch
from torch import Tensor

from ...layers import kernels
from ...layers.kernels import Drive, Trials
from ...ranks import Ranks, here
from ..options import Options
from ..run.neurons import SpikingReLU
from ..run.schedules.pipelined import move_ahead
from ..thread_pool import map_pieces

BLOCK = 512
"""Positions that one core takes at a time: a fixed number, so that sums do not depend on how many cores there are."""
GROWN, WEIGHT = 1.5, 5
"""By how much currents grow that are tried beside those of calibration, and what their errors weigh: so much divided by
the number of samples, as that is how often another sample gives more than all of these; at most as much as the others.
"""


def decoded(
    currents: Tensor, threshold: Tensor, start: Tensor, bias: Tensor, neuron: SpikingReLU, options: Options
) -> Tensor:
    """Output after T steps, ``(S, C)``.

    Args:
        currents: ``(T, S, C)``, or ``(1, S, C)`` if the current is constant or the schedule layerwise.
        threshold: θ, broadcasting over ``(C,)``, as are the next two.
        start: V_0 in units of the smallest spike.
        bias: Added to the current.
        neuron: Whose kind counts.
        options: T and schedule.
    """
    if _in_one_pass(currents, neuron, options):
        sent = torch.empty(1, *currents.shape[1:], device=currents.device)
        _tried(currents, currents[0], threshold[None], start[None], bias[None], neuron, options, sent)
        return sent[0]
    trial = neuron.trial(threshold, start)
    if options.schedule == "layerwise" or len(currents) == 1:
        steps = torch.tensor(float(options.timesteps), device=currents.device)
        return trial.count(currents[0] + bias, steps) * threshold / options.timesteps
    spikes, _ = trial.run(Drive(move_ahead(currents + bias, options.delay), options.timesteps))
    return spikes.sum(0) * threshold / options.timesteps


def trial_errors(
    currents: Tensor,
    target: Tensor,
    threshold: Tensor,
    start: Tensor,
    bias: Tensor,
    neuron: SpikingReLU,
    options: Options,
) -> Tensor:
    """The mean squared error of each channel's output in each of several trials, ``(trials, C)``, in float64.

    Other inputs than those of calibration give larger currents, which a threshold that fits these ones just so would
    clip. So each error is that on the currents, and with a small weight that on larger ones, see ``WEIGHT``. Of several
    processes, which all have the same currents, each takes some of the positions.

    Args:
        currents: As for ``decoded``.
        target: The ANN's activations, ``(S, C)``.
        threshold: θ, broadcasting over ``(trials, C)``, as are the next two.
        start: V_0 in units of the smallest spike.
        bias: Added to the current.
        neuron: Whose kind counts.
        options: T, schedule, and how many samples there are.
    """
    found = _errors(currents, target, threshold, start, bias, neuron, options)
    # g times the current for θ is the current for θ/g, and what is sent is g times as much.
    wanted = target if neuron.cap is None else target.clamp(max=neuron.cap / GROWN)
    grown = _errors(currents, wanted, threshold / GROWN, start, bias / GROWN, neuron, options)
    return found + min(1.0, WEIGHT / options.samples) * GROWN**2 * grown


def _errors(
    currents: Tensor,
    target: Tensor,
    threshold: Tensor,
    start: Tensor,
    bias: Tensor,
    neuron: SpikingReLU,
    options: Options,
) -> Tensor:
    """The mean squared errors on currents as they are."""
    if _in_one_pass(currents, neuron, options):
        return _tried(currents, target, threshold, start, bias, neuron, options) / len(target)
    trials = torch.broadcast_shapes(threshold.shape, start.shape, bias.shape)
    settings = zip(threshold.expand(trials), start.expand(trials), bias.expand(trials), strict=True)

    def error(theta: Tensor, first: Tensor, b: Tensor) -> Tensor:
        return (decoded(currents, theta, first, b, neuron, options) - target).double().square().mean(0)

    return torch.stack([error(*setting) for setting in settings])  # the outputs of all would take too much memory


def _in_one_pass(currents: Tensor, neuron: SpikingReLU, options: Options) -> bool:
    """Whether neurons must be run, and all trials on the same currents: not where a count has a closed form."""
    if options.schedule == "synchronous":
        return len(currents) > 1 or neuron.options.neuron != "iaf"
    return options.schedule == "pipelined" and len(currents) == 1 and neuron.options.neuron != "iaf"


def _tried(
    currents: Tensor,
    target: Tensor,
    threshold: Tensor,
    start: Tensor,
    bias: Tensor,
    neuron: SpikingReLU,
    options: Options,
    sent: Tensor | None = None,
) -> Tensor:
    """Sums of squared errors, ``(trials, C)``; ``sent`` is filled with the outputs."""
    trials = torch.broadcast_shapes(threshold.shape, start.shape, bias.shape)
    shape = (*trials[:-1], target.shape[1])
    threshold, start, bias = (x.expand(shape) for x in (threshold, start, bias))
    settings = Trials(threshold, threshold * start * neuron.options.finest, bias, options.timesteps)
    rule = neuron.rule
    blocks = [slice(k, k + BLOCK) for k in range(0, len(target), BLOCK)]
    workers = torch.get_num_threads() if target.device.type == "cpu" else 1

    def errors(rows: slice) -> Tensor:
        place = None if sent is None else sent[:, rows]
        return kernels.trial_errors(rule, currents, target, settings, rows, place)

    total = torch.zeros(shape, dtype=torch.float64, device=target.device)
    # Where outputs are wanted, each process needs all of them.
    ranks = here() if sent is None else Ranks()
    for found in ranks.divided(blocks, lambda some: map_pieces(errors, some, workers)):
        total += found.to(total.device)
    return total
