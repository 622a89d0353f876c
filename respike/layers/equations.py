"""The equations of the neurons, as pure functions of one timestep.

Every layer, and every faster spelling of one, computes what stands here. Tensors are of any shape, as
long as they broadcast: thresholds and time constants may be numbers, or one value per channel.
Symbols: ``v_mem`` membrane potential, ``threshold`` θ, ``alpha`` the share of the potential (or of the
synaptic current) that one timestep leaves over.
"""

from __future__ import annotations

import torch
from torch import Tensor


def decay(tau: Tensor) -> Tensor:
    """The factor α = exp(−1/τ), the share left after one timestep; τ in timesteps.

    >>> equations.decay(torch.tensor([1.0, 20.0]))
    tensor([0.3679, 0.9512])
    """
    return torch.exp(-1.0 / tau)


def time_constant(alpha: Tensor) -> Tensor:
    """The time constant τ = −1/ln α of a decay factor; the inverse of ``decay``.

    >>> equations.time_constant(torch.tensor(0.9512))
    tensor(19.9876)
    """
    return -1.0 / torch.log(alpha)


def filter_synapse(i_syn: Tensor, current: Tensor, alpha: Tensor) -> Tensor:
    """Exponential synapse, i ← α·(i + I): the order of Sinabs, the new input decays in its own step.

    >>> equations.filter_synapse(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(0.5))
    tensor(1.5000)
    """
    return alpha * (i_syn + current)


def fill_synapse(i_syn: Tensor, current: Tensor, alpha: Tensor) -> Tensor:
    """Exponential synapse, i ← α·i + I: the order of snnTorch, the new input decays from the next step on.

    >>> equations.fill_synapse(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(0.5))
    tensor(2.5000)
    """
    return alpha * i_syn + current


def integrate(v_mem: Tensor, current: Tensor, alpha: Tensor | None, norm_input: bool) -> Tensor:
    """Charge, v ← α·v + I, or α·v + (1 − α)·I with ``norm_input``; ``alpha=None`` means no leak (α = 1).

    >>> v_mem, current, alpha = torch.tensor(1.0), torch.tensor(2.0), torch.tensor(0.75)
    >>> equations.integrate(v_mem, current, alpha, norm_input=True)
    tensor(1.2500)
    """
    if alpha is None:
        return v_mem + current
    return alpha * v_mem + ((1 - alpha) * current if norm_input else current)


def euler_step(v_mem: Tensor, v_inf: Tensor, ratio: Tensor) -> Tensor:
    """Forward Euler for τ v' = v_∞ − v over one timestep: v ← v + r·(v_∞ − v), with r = Δt/τ.

    The error of each step is of the order r²; beyond r = 1 the potential swings, beyond 2 it diverges.

    >>> equations.euler_step(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.1))
    tensor(0.1000)
    """
    return v_mem + ratio * (v_inf - v_mem)


def exponential_step(v_mem: Tensor, v_inf: Tensor, ratio: Tensor) -> Tensor:
    """The exact solution of τ v' = v_∞ − v over one timestep: v ← v_∞ + (v − v_∞)·exp(−r), with r = Δt/τ.

    >>> equations.exponential_step(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.1))
    tensor(0.0952)
    """
    return v_inf + (v_mem - v_inf) * torch.exp(-ratio)


def alpha_gain(alpha: Tensor, beta: Tensor) -> Tensor:
    """The factor τ_α = ln α / (ln β − ln α) + 1 of a difference of exponentials, α > β (snnTorch's ``Alpha``).

    >>> equations.alpha_gain(torch.tensor(0.9), torch.tensor(0.8))
    tensor(1.8945)
    """
    return torch.log(alpha) / (torch.log(beta) - torch.log(alpha)) + 1


def adapt(b: Tensor, spikes: Tensor, alpha: Tensor) -> Tensor:
    """Spike-frequency adaptation, b ← ρ·b + (1 − ρ)·s: a running mean of the spikes (Bellec et al. 2018).

    >>> equations.adapt(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.75))
    tensor(0.2500)
    """
    return alpha * b + (1 - alpha) * spikes


def leak_compensation(alpha: Tensor, threshold: Tensor) -> Tensor:
    """The current (1 − α)·θ/2: what a leak takes, per step, from a membrane that sweeps evenly between 0 and θ.

    Added to the membrane in every step it makes the transfer curve of a LIF neuron that of the IAF
    neuron, up to the dead zone of half that size: the mean of the potential, θ/2, no longer leaks away.

    >>> equations.leak_compensation(torch.tensor(0.9), torch.tensor(1.0))
    tensor(0.0500)
    """
    return (1 - alpha) * threshold / 2


def single_spike(v_mem: Tensor, threshold: Tensor) -> Tensor:
    """Spikes s = [v ≥ θ]: at most one spike a step.

    >>> equations.single_spike(torch.tensor([0.5, 1.0, 2.5]), torch.tensor(1.0))
    tensor([0., 1., 1.])
    """
    return (v_mem - threshold >= 0).to(v_mem.dtype)


def strict_spike(v_mem: Tensor, threshold: Tensor) -> Tensor:
    """Spikes s = [v > θ]: as ``single_spike``, but a potential that just reaches θ waits.

    >>> equations.strict_spike(torch.tensor([0.5, 1.0, 2.5]), torch.tensor(1.0))
    tensor([0., 0., 1.])
    """
    return (v_mem - threshold > 0).to(v_mem.dtype)


def multi_spike(v_mem: Tensor, threshold: Tensor, most: int | None = None) -> Tensor:
    """Spikes s = ⌊v/θ⌋ for v > 0, at most ``most`` a step.

    >>> equations.multi_spike(torch.tensor([-2.5, 1.0, 2.5, 9.0]), torch.tensor(1.0), most=4)
    tensor([0., 1., 2., 4.])
    """
    # Not a product with [v > 0]: that of a potential of minus infinity would be no number.
    spikes = torch.where(v_mem > 0, torch.div(v_mem, threshold, rounding_mode="trunc").to(v_mem.dtype), 0.0)
    return spikes if most is None else spikes.clamp(max=most)


def signed_spike(v_mem: Tensor, net: Tensor | None, threshold: Tensor, most: int) -> Tensor:
    """Spikes s = ⌊v/θ⌋ of either sign, at most ``most`` a step, and never more taken back than ``net`` sent.

    A negative spike takes back what unevenness sent too early: as long as the rate allows, the potential
    stays in [0, θ), so the net count is that of a constant current at every step (signed neurons with
    memory: Wang et al., "Signed neuron with memory", IJCAI 2022). A potential that is NaN, say the sum of an infinite
    current and its opposite, sends nothing, as in all equations here. ``net`` None: the count may be below zero, so
    that it follows currents of either sign.

    >>> v_mem, net = torch.tensor([2.5, -0.5, -2.5]), torch.tensor([0.0, 0.0, 2.0])
    >>> equations.signed_spike(v_mem, net, torch.tensor(1.0), most=4)
    tensor([ 2., -0., -2.])
    """
    spikes = torch.floor(v_mem / threshold).clamp(-most, most)
    spikes = spikes if net is None else spikes.maximum(-net)
    return torch.where(v_mem.isnan(), 0.0, spikes)


def graded_spike(v_mem: Tensor, net: Tensor | None, threshold: Tensor, levels: int) -> Tensor:
    """One spike of either sign and of the weight 1, 1/2, ... or 1/2^(levels−1): the one nearest to v/θ.

    What is less than the smallest weight waits; no more is taken back than ``net`` sent, if it is given. Weights that
    are powers of two cost a shift, not a multiplication (multi-threshold neurons: Huang et al., "Towards
    high-performance spiking transformers from ANN to SNN conversion", ACM MM 2024).

    >>> v_mem, net = torch.tensor([0.8, 0.3, -0.45]), torch.tensor([0.0, 0.0, 1.0])
    >>> equations.graded_spike(v_mem, net, torch.tensor(1.0), levels=3)
    tensor([ 1.0000,  0.2500, -0.5000])
    """
    finest = 2 ** (levels - 1)
    wanted = torch.floor(v_mem / threshold * finest)
    size = wanted.abs()
    # Halfway between two powers of two lies 1.5 times the smaller one.
    nearest = torch.floor(torch.log2((size * (4 / 3)).clamp(min=1)))
    if net is None:
        exponent, possible = nearest.clamp(max=levels - 1), (wanted > 0) | (wanted < 0)
    else:
        back = torch.floor(torch.log2((net * finest).clamp(min=1)))  # the largest that may be taken back
        exponent = torch.where(wanted < 0, nearest.minimum(back), nearest).clamp(max=levels - 1)
        possible = (wanted > 0) | ((wanted < 0) & (net > 0))
    return torch.where(possible, torch.exp2(exponent) * wanted.sign() / finest, 0.0)


def subtract_reset(v_mem: Tensor, spikes: Tensor, amount: Tensor | float) -> Tensor:
    """Soft reset, v ← v − s·θ: what exceeds the threshold is kept, so no charge is lost.

    >>> equations.subtract_reset(torch.tensor([0.5, 2.5]), torch.tensor([0.0, 2.0]), 1.0)
    tensor([0.5000, 0.5000])
    """
    return v_mem - spikes * amount


def constant_reset(v_mem: Tensor, spikes: Tensor, value: Tensor | float) -> Tensor:
    """Hard reset, v ← value where the neuron fired; silent neurons keep their potential.

    >>> equations.constant_reset(torch.tensor([0.5, 2.5]), torch.tensor([0.0, 2.0]), 0.0)
    tensor([0.5000, 0.0000])
    """
    value = value.to(v_mem) if isinstance(value, Tensor) else torch.full_like(v_mem, value)
    return torch.where(spikes != 0, value, v_mem)


def count_down(remaining: Tensor, spikes: Tensor, steps: float) -> Tensor:
    """Timesteps left of the refractory period: all ``steps`` after a spike, else one fewer than before.

    >>> equations.count_down(torch.tensor([0.0, 2.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]), 3)
    tensor([3., 1., 0.])
    """
    return torch.where(spikes > 0, torch.full_like(remaining, steps), (remaining - 1).clamp(min=0))


def bound_below(v_mem: Tensor, min_v_mem: Tensor) -> Tensor:
    """Lower bound, v ← max(v, v_min), with the gradient of a ReLU.

    >>> equations.bound_below(torch.tensor([-2.0, 0.5]), torch.tensor(-1.0))
    tensor([-1.0000,  0.5000])
    """
    return torch.relu(v_mem - min_v_mem) + min_v_mem


def iaf_count(
    current: Tensor, threshold: Tensor, timesteps: Tensor | int, v_init: Tensor, max_spikes: int | None = 1
) -> Tensor:
    """Spikes of a soft-reset IAF neuron after T steps of a constant current, in closed form.

    N_T = clip(⌊(T·I + V_0)/θ⌋, 0, n·T) for at most n spikes a step: with V_0 = θ/2 and n = 1 the
    (T+1)-value quantiser of the clipped ReLU, off by at most θ/2T inside its range (Bu et al.,
    "Optimal ANN-SNN conversion", ICLR 2022).

    >>> current, theta = torch.tensor([-0.1, 0.3, 1.5]), torch.tensor(1.0)
    >>> equations.iaf_count(current, theta, timesteps=10, v_init=theta / 2)
    tensor([ 0.,  3., 10.])
    """
    count = torch.floor((current * timesteps + v_init) / threshold).clamp(min=0)
    return count if max_spikes is None else torch.minimum(count, torch.as_tensor(max_spikes * timesteps))


def lif_rate(
    current: Tensor,
    tau: Tensor,
    threshold: Tensor,
    resistance: Tensor | float = 1.0,
    t_ref: float = 0.0,
    v_rest: Tensor | float = 0.0,
    v_reset: Tensor | float = 0.0,
) -> Tensor:
    """Spikes per unit of time of a leaky neuron with hard reset under a constant current, in continuous time.

    f = 1 / (t_ref + τ·ln((v_∞ − v_reset)/(v_∞ − θ))) for v_∞ = v_rest + R·I > θ, else 0 (Gerstner et al.,
    "Neuronal Dynamics", 2014, section 1.3).

    >>> equations.lif_rate(torch.tensor([0.9, 2.0]), tau=torch.tensor(10.0), threshold=torch.tensor(1.0))
    tensor([0.0000, 0.1443])
    """
    v_inf = v_rest + resistance * current
    fires = v_inf > threshold
    above = torch.where(fires, v_inf, threshold + 1.0)
    rate = 1 / (t_ref + tau * torch.log((above - v_reset) / (above - threshold)))
    return torch.where(fires, rate, torch.zeros_like(rate))
