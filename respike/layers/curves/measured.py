"""Measured curves: the firing rate of a neuron against a constant current, the potential of one left alone."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError
from ..spiking import SpikingLayer


@torch.no_grad()
def transfer_curve(neuron: SpikingLayer, currents: Tensor, timesteps: int) -> Tensor:
    """Firing rate, in spikes per timestep, measured over ``timesteps`` of each constant current.

    >>> currents = torch.tensor([-0.5, 0.25, 0.5, 2.0])
    >>> transfer_curve(IAF(spike_fn=SingleSpike, v_init=0.5), currents, timesteps=8)  # a clipped ReLU
    tensor([0.0000, 0.2500, 0.5000, 1.0000])

    Args:
        neuron: Any neuron; its own states stay as they are.
        currents: ``(K,)``.
        timesteps: T >= 1.

    Returns:
        ``(K,)``, or ``(K, ...)`` with the shape of the neuron's parameters when they differ per channel.

    Raises:
        ValueError: ``currents`` is not one-dimensional, or ``timesteps`` is below 1.
    """
    if currents.dim() != 1 or timesteps < 1:
        raise InputError(f"currents must be (K,) and timesteps >= 1, got {tuple(currents.shape)}, {timesteps}")
    channels = neuron.neuron_shape
    currents = currents.to(torch.promote_types(currents.dtype, torch.float32))
    drive = currents.reshape(-1, 1, *[1] * len(channels)).expand(-1, timesteps, *channels)
    drive = drive if channels else drive.unsqueeze(-1)
    state = {name: neuron.initial_state(name, drive[:, 0]) for name in neuron.state_names}
    spikes, _, _ = neuron.scan(drive, state)
    return spikes.sum(1).div(timesteps).reshape(-1, *channels)


@torch.no_grad()
def decay_curve(neuron: SpikingLayer, start: float, timesteps: int) -> Tensor:
    """The membrane potential of a neuron left alone at ``start``, before and after each of ``timesteps``.

    >>> decay_curve(Leaky(beta=0.5), start=0.8, timesteps=3)
    tensor([0.8000, 0.4000, 0.2000, 0.1000])

    Args:
        neuron: Any neuron; its own states stay as they are.
        start: Potential to begin with, below the threshold.
        timesteps: T >= 0.

    Returns:
        ``(T + 1,)``, or ``(T + 1, ...)`` with the shape of the neuron's parameters.
    """
    shape = neuron.neuron_shape
    silence = torch.zeros(1, *shape, dtype=neuron.v_init.dtype, device=neuron.v_init.device)
    state = {name: neuron.initial_state(name, silence) for name in neuron.state_names}
    state[neuron.membrane] = torch.full_like(silence, start)
    potentials = [state[neuron.membrane]]
    for _ in range(timesteps):
        state = neuron.step(silence, state)[1]
        potentials.append(state[neuron.membrane])
    return torch.cat(potentials)
