"""Closed forms of a membrane below its threshold: decay, step response, and the current that it takes to fire."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import equations
from ..alif import ALIF
from ..constant_leak import ConstantLeakIAF
from ..lif import LIF
from ..spiking import SpikingLayer
from ..textbook import Alpha, BetaNeuron, Lapicque, Leaky, RLeaky, RSynaptic, Synaptic, TextbookLIF


def rheobase(neuron: SpikingLayer) -> Tensor | None:
    """The constant current that a silent neuron must exceed to fire ever; None where it is not known.

    The steady potential is a·I + c for a small current I: rheobase is (θ − c)/a. It is 0 without a leak, and
    what leaks per step where that is constant.

    >>> rheobase(LIF(tau_mem=20.0, spike_threshold=1.5)), rheobase(Leaky(beta=0.9))
    (tensor(1.5000), tensor(0.1000))
    """
    with torch.no_grad():
        if isinstance(neuron, ConstantLeakIAF):
            return neuron.v_leak / _synapse_gain(neuron)
        if isinstance(neuron, LIF | ALIF):
            theta = neuron.b0 if isinstance(neuron, ALIF) else neuron.spike_threshold
            alpha = neuron.alpha("mem")
            if theta is None or hasattr(neuron, "rec_connect"):
                return None
            if alpha is None:
                return torch.zeros_like(theta)
            drive = theta if neuron.norm_input else (1 - alpha) * theta
            if isinstance(neuron, LIF) and neuron.leak_compensation:
                drive = drive - equations.leak_compensation(alpha, theta) / ((1 - alpha) if neuron.norm_input else 1)
            return drive / _synapse_gain(neuron)
        if isinstance(neuron, TextbookLIF):
            return (neuron.spike_threshold - neuron.v_rest) / neuron.R
        if isinstance(neuron, RLeaky | RSynaptic) and neuron.recurrent is not None:
            return None
        if isinstance(neuron, Lapicque):
            return neuron.threshold / neuron.R
        if isinstance(neuron, Alpha):
            return neuron.threshold / (neuron.gain * (1 / (1 - neuron.alpha) - 1 / (1 - neuron.beta)))
        if isinstance(neuron, Synaptic):
            return neuron.threshold * (1 - neuron.alpha) * (1 - neuron.beta)
        return neuron.threshold * (1 - neuron.beta) if isinstance(neuron, Leaky) else None


def closed_decay(neuron: SpikingLayer, start: float, timesteps: int) -> Tensor | None:
    """The potentials that ``decay_curve`` must measure: v_rest + (start − v_rest)·a^k after k steps.

    Each step leaves the share a, which is exp(−1/τ), β, or 1 − Δt/τ by forward Euler; a constant leak takes k·v_leak,
    down to the floor. None where the potential is not a state of its own (``Alpha``, ``SRM0``) or feedback drives it.

    >>> neuron = Leaky(beta=0.5)
    >>> closed_decay(neuron, start=0.8, timesteps=3), decay_curve(neuron, 0.8, 3)
    (tensor([0.8000, 0.4000, 0.2000, 0.1000]), tensor([0.8000, 0.4000, 0.2000, 0.1000]))
    """
    with torch.no_grad():
        share = share_left(neuron)
        if share is None:
            return None
        k = torch.arange(timesteps + 1, dtype=share.dtype).reshape(-1, *[1] * len(neuron.neuron_shape))
        rest = neuron.v_rest if isinstance(neuron, TextbookLIF) else torch.zeros_like(share)
        potential = rest + (start - rest) * share**k
        if isinstance(neuron, ConstantLeakIAF):
            potential = potential - k * neuron.v_leak
        floor = neuron.min_v_mem if isinstance(neuron, LIF | ALIF) else None
        if floor is not None:
            potential = torch.cat([potential[:1], potential[1:].maximum(floor)])
        return potential.expand(-1, *neuron.neuron_shape)


def step_response(neuron: BetaNeuron, current: Tensor, k: Tensor) -> Tensor:
    """The potential after k steps of a constant current, from ``v_init``, while nothing fires."""
    share = share_left(neuron)
    if isinstance(neuron, Alpha):
        return neuron.gain * current * (_sum(neuron.alpha, k) - _sum(neuron.beta, k))
    assert share is not None
    if isinstance(neuron, Lapicque):
        return neuron.R * current + (neuron.v_init - neuron.R * current) * share**k
    if isinstance(neuron, Synaptic):
        alpha, beta = neuron.alpha.clamp(0, 1), share
        apart = torch.where(alpha == beta, 1.0, alpha - beta)
        mixed = torch.where(alpha == beta, k * alpha**k, alpha * (alpha**k - beta**k) / apart)
        return current * (_sum(beta, k) - mixed) / (1 - alpha)
    return current * _sum(share, k) + neuron.v_init * share**k


def share_left(neuron: SpikingLayer) -> Tensor | None:
    """The share of the potential that a timestep leaves over."""
    if isinstance(neuron, LIF | ALIF):
        alpha = neuron.alpha("mem")
        fed_back = hasattr(neuron, "rec_connect") or getattr(neuron, "leak_compensation", False)
        return None if fed_back else torch.ones_like(neuron.v_init) if alpha is None else alpha
    if isinstance(neuron, Lapicque | TextbookLIF):
        ratio = neuron.share if isinstance(neuron, Lapicque) else neuron.dt / neuron.tau_mem
        left: Tensor = neuron._integrate(torch.ones_like(ratio), torch.zeros_like(ratio), ratio)
        return left
    if isinstance(neuron, RLeaky | RSynaptic) and neuron.recurrent is not None:
        return None
    return neuron.beta.clamp(0, 1) if isinstance(neuron, Leaky | Synaptic) else None


def _synapse_gain(neuron: LIF | ALIF) -> Tensor | float:
    alpha = neuron.alpha_syn_calculated
    return 1.0 if alpha is None else alpha / (1 - alpha)


def _sum(share: Tensor, k: Tensor) -> Tensor:
    """1 + a + a² + ... + a^(k−1)."""
    return torch.where(share == 1, k, (1 - share**k) / torch.where(share == 1, 0.5, 1 - share))
