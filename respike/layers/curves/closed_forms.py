"""What measured transfer curves must be, where the equations can be solved."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import equations
from ..constant_leak import ConstantLeakIAF
from ..iaf import IAF
from ..lif import LIF
from ..reset_fn import MembraneReset, MembraneSubtract
from ..spike_fn import MaxSpike, MultiSpike, SingleSpike
from ..spiking import SpikingLayer
from ..textbook import Alpha, BetaNeuron, Leaky, RLeaky, RSynaptic, Synaptic, TextbookLIF
from .passive import share_left, step_response


def closed_form(neuron: SpikingLayer, currents: Tensor, timesteps: int) -> Tensor | None:
    """The rates that ``transfer_curve`` must measure, where they have a closed form; else None.

    Soft reset: IAF, with constant leak too, from ``equations.iaf_count``. Hard reset: LIF, Leaky, Lapicque,
    Alpha, SRM0 and TextbookLIF start from the reset value with each spike, so a constant current that first brings
    them to θ after k steps makes them fire every k + d steps, d of which they are deaf. No reset: Leaky, Lapicque,
    Synaptic and Alpha fire in each step in which their step response is above θ.

    >>> neuron, currents = IAF(spike_fn=SingleSpike, v_init=0.5), torch.linspace(-0.5, 1.5, 101)
    >>> torch.equal(closed_form(neuron, currents, 8), transfer_curve(neuron, currents, 8))
    True

    Args:
        neuron: Any neuron.
        currents: ``(K,)``.
        timesteps: T >= 1.

    Returns:
        Rates of the shape that ``transfer_curve`` gives.
    """
    with torch.no_grad():
        if isinstance(neuron, LIF):
            return _sinabs(neuron, currents, timesteps)
        steps = torch.arange(1, timesteps + 1, dtype=currents.dtype, device=currents.device)
        shape = [1] * len(neuron.neuron_shape)
        steps, current = steps.reshape(-1, 1, *shape), currents.reshape(1, -1, *shape)
        if isinstance(neuron, TextbookLIF):
            return _textbook(neuron, current, steps)
        return _beta(neuron, current, steps) if isinstance(neuron, BetaNeuron) else None


def _renewals(potential: Tensor, theta: Tensor, deaf: int, late: int = 0) -> Tensor:
    """Rates of a neuron that starts again with each spike, from its potential ``(T, K, ...)`` until the first.

    It fires after k steps and then every k + d, d steps of which it is ``deaf``; ``late`` is a delay of the spikes.
    """
    timesteps = len(potential)
    below = (potential <= theta).to(potential.dtype)
    k = below.cumprod(0).sum(0) + 1
    count = torch.floor((timesteps + deaf - late) / (k + deaf))
    return torch.where(k + late <= timesteps, count, torch.zeros_like(count)) / timesteps


def _beta(neuron: BetaNeuron, current: Tensor, k: Tensor) -> Tensor | None:
    """SnnTorch's family, while nothing but its own spikes acts on the neuron."""
    fed_back = isinstance(neuron, RLeaky | RSynaptic)
    if fed_back or neuron.inhibition or neuron.state_quant is not None:
        return None
    theta, worth, timesteps = neuron.threshold, neuron.graded_spikes_factor, len(k)
    late = int(neuron.spike_delay)
    if neuron.reset_mechanism == "none" and bool((neuron.v_init == 0).all()):
        fires = step_response(neuron, current, k) > theta
        return worth * fires[: timesteps - late].sum(0) / timesteps
    if neuron.is_hard and bool((neuron.v_init - neuron.reset_value).abs().le(1e-6 * theta).all()):
        if isinstance(neuron, Synaptic) or (isinstance(neuron, Alpha) and neuron.reset_value != 0):
            return None  # a synapse that is not what it was at the start
        deaf = int(neuron.reset_delay and not neuron.hard_reset_first)
        return worth * _renewals(step_response(neuron, current, k), theta, deaf, late)
    lossless = isinstance(neuron, Leaky) and bool((neuron.beta >= 1).all())
    if (
        neuron.reset_mechanism == "subtract"
        and lossless
        and bool(((neuron.v_init >= 0) & (neuron.v_init < theta)).all())
    ):
        count = torch.ceil((timesteps * current[0] + neuron.v_init) / theta) - 1
        return worth * count.clamp(0, timesteps) / timesteps
    return None


def _textbook(neuron: TextbookLIF, current: Tensor, k: Tensor) -> Tensor | None:
    if neuron.reset_mechanism != "value" or bool((neuron.v_init != neuron.v_reset).any()):
        return None
    share = share_left(neuron)
    assert share is not None
    v_inf = neuron.v_rest + neuron.R * current
    return _renewals(v_inf + (neuron.v_reset - v_inf) * share**k, neuron.spike_threshold, neuron.refractory_steps)


def _sinabs(neuron: LIF, currents: Tensor, timesteps: int) -> Tensor | None:
    """Soft-reset IAF, and LIF with hard reset and one spike a step.

    The potential of the latter follows v_k = v_r·α^k + I'·(1 − α^k)/(1 − α) from the reset value v_r (also its
    start) and first reaches θ after k = ⌈log((I' − θ(1−α)) / (I' − v_r(1−α))) / log α⌉ steps, so N_T = ⌊T/k⌋.
    """
    if neuron.spike_threshold is None or neuron.alpha_syn_calculated is not None:
        return None
    theta, v_init = neuron.spike_threshold.detach(), neuron.v_init
    if not bool((v_init < theta).all()) or neuron.leak_compensation or hasattr(neuron, "rec_connect"):
        return None
    current = currents.reshape([-1] + [1] * len(neuron.neuron_shape))
    if isinstance(neuron, ConstantLeakIAF):
        if bool((v_init < 0).any()) or (neuron.min_v_mem is not None and bool((neuron.min_v_mem > 0).any())):
            return None
        current = current - neuron.v_leak  # what fires never sinks to the floor
    elif neuron.min_v_mem is not None:
        return None
    if isinstance(neuron, IAF) and neuron.reset_fn == MembraneSubtract():
        limits = {SingleSpike: 1, MultiSpike: None}
        if isinstance(neuron.spike_fn, MaxSpike):
            most = neuron.spike_fn.max_num_spikes_per_bin
        elif neuron.spike_fn in limits:
            most = limits[neuron.spike_fn]
        else:
            return None
        if most is not None and bool((v_init < 0).any()):
            return None  # the steps that fill the debt do not fire, so fewer than T can
        return equations.iaf_count(current, theta, timesteps, v_init, most) / timesteps
    alpha, reset = neuron.alpha("mem"), neuron.reset_fn
    if alpha is None or not isinstance(reset, MembraneReset) or neuron.spike_fn is not SingleSpike:
        return None
    if bool((v_init != reset.reset_value).any() or (alpha >= 1).any()):
        return None
    alpha = alpha.detach()
    drive = (1 - alpha) * current if neuron.norm_input else current
    ratio = (drive - theta * (1 - alpha)) / (drive - reset.reset_value * (1 - alpha))
    period = torch.ceil(torch.log(ratio) / torch.log(alpha)).clamp(min=1)
    count = torch.floor(timesteps / period)
    return torch.where(drive > theta * (1 - alpha), count, torch.zeros_like(count)) / timesteps
