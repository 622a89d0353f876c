"""Transfer curves: the firing rate of a neuron against a constant current."""

from __future__ import annotations

import torch
from torch import Tensor

from . import equations
from .iaf import IAF
from .lif import LIF
from .reset_fn import MembraneReset, MembraneSubtract
from .spike_fn import MaxSpike, MultiSpike, SingleSpike


@torch.no_grad()
def transfer_curve(neuron: LIF, currents: Tensor, timesteps: int) -> Tensor:
    """Firing rate, in spikes per timestep, measured over ``timesteps`` of each constant current.

    Args:
        neuron: Any spiking layer; its own states stay as they are.
        currents: ``(K,)``.
        timesteps: T >= 1.

    Returns:
        ``(K,)``, or ``(K, ...)`` with the shape of the neuron's parameters when they differ per channel.

    Raises:
        ValueError: ``currents`` is not one-dimensional, or ``timesteps`` is below 1.
    """
    if currents.dim() != 1 or timesteps < 1:
        raise ValueError(f"currents must be (K,) and timesteps >= 1, got {tuple(currents.shape)}, {timesteps}")
    given = (neuron.spike_threshold, neuron.alpha_mem_calculated, neuron.alpha_syn_calculated, neuron.v_init)
    channels = torch.broadcast_shapes(*(p.shape for p in given if p is not None))
    drive = currents.reshape(-1, 1, *[1] * len(channels)).expand(-1, timesteps, *channels)
    drive = drive if channels else drive.unsqueeze(-1)
    state = {name: neuron.initial_state(name, drive[:, 0]) for name in neuron.state_names}
    spikes, _, _ = neuron.scan(drive, state)
    return spikes.sum(1).div(timesteps).reshape(-1, *channels)


def closed_form(neuron: LIF, currents: Tensor, timesteps: int) -> Tensor | None:
    """What ``transfer_curve`` must give, where the neuron's rate has a closed form; else None.

    Soft-reset IAF, from ``equations.iaf_count``. LIF with hard reset and one spike a step: the
    potential follows v_k = v_r·α^k + I'·(1 − α^k)/(1 − α) from the reset value v_r (also its start) and
    first reaches θ after k = ⌈log((I' − θ(1−α)) / (I' − v_r(1−α))) / log α⌉ steps, so N_T = ⌊T/k⌋.
    """
    if neuron.spike_threshold is None or neuron.min_v_mem is not None or neuron.alpha_syn_calculated is not None:
        return None
    theta, v_init = neuron.spike_threshold.detach(), neuron.v_init
    if not bool((v_init < theta).all()) or neuron.leak_compensation or hasattr(neuron, "rec_connect"):
        return None
    shape = [-1] + [1] * theta.dim()
    current = currents.reshape(shape)
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
    alpha, reset = neuron.alpha_mem_calculated, neuron.reset_fn
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
