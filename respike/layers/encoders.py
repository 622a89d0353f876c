"""Encoders: values into spikes over time, ``(batch, ...)`` into ``(batch, time, ...)``.

Names, arguments and defaults are those of ``snntorch.spikegen``, whose time axis comes first; here it comes
second, as everywhere. What is drawn at random depends on ``seed`` alone: a number, or a generator to go on from.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError
from .constants import whole

Seed = int | torch.Generator


def constant(data: Tensor, num_steps: int) -> Tensor:
    """The data itself as a current in each timestep: no spikes, no noise, the first layer does the coding.

    >>> encoders.constant(torch.tensor([[0.2, 0.7]]), num_steps=3)
    tensor([[[0.2000, 0.7000],
             [0.2000, 0.7000],
             [0.2000, 0.7000]]])

    Args:
        data: ``(batch, ...)``.
        num_steps: T >= 1.

    Returns:
        ``(batch, T, ...)``, a view of ``data``.

    Raises:
        ValueError: no batch axis, or ``num_steps`` below 1.
    """
    if data.dim() < 1:
        raise InputError("data must be (batch, ...), got a single number")
    num_steps = whole("num_steps", num_steps, 1)
    return data.unsqueeze(1).expand(-1, num_steps, *data.shape[1:])


def rate(
    data: Tensor,
    num_steps: int | None = None,
    gain: float = 1.0,
    offset: float = 0.0,
    first_spike_time: int = 0,
    time_var_input: bool = False,
    *,
    seed: Seed = 0,
) -> Tensor:
    """Bernoulli spikes: in each timestep one with the probability gain·x + offset, clipped to [0, 1].

    >>> encoders.rate(torch.tensor([[0.0, 0.5, 1.0]]), num_steps=1000).mean(1).round(decimals=1)
    tensor([[0.0000, 0.5000, 1.0000]])

    Args:
        data: ``(batch, ...)``; with ``time_var_input``, ``(batch, time, ...)``.
        num_steps: T >= 1; None with ``time_var_input``.
        gain: Factor on the data.
        offset: Added to that.
        first_spike_time: Timesteps at the start without spikes; put before the data with ``time_var_input``.
        time_var_input: The data has a time axis of its own.
        seed: A number or a generator on the data's device.

    Returns:
        0 and 1, ``(batch, T, ...)``.

    Raises:
        ValueError: values that are not finite, or arguments that do not fit together.
    """
    if not bool(torch.isfinite(data).all()):
        raise InputError("data must be finite to be a probability")
    if time_var_input != (num_steps is None):
        raise InputError("give num_steps for data without a time axis, or time_var_input=True for data with one")
    if num_steps is None and data.dim() < 2:
        raise InputError(f"data must be (batch, time, ...) with time_var_input=True, got shape {tuple(data.shape)}")
    if first_spike_time < 0 or (num_steps is not None and first_spike_time >= max(num_steps, 1)):
        raise InputError(f"first_spike_time must be a timestep from 0 on, got {first_spike_time} of {num_steps}")
    chances = data if num_steps is None else constant(data, num_steps)
    chances = (gain * _float(chances) + offset).clamp(0, 1)
    spikes = torch.bernoulli(chances, generator=_generator(seed, data.device))
    if num_steps is None:
        silence = torch.zeros_like(spikes[:, :1]).repeat_interleave(first_spike_time, 1)
        return torch.cat([silence, spikes], 1)
    spikes[:, :first_spike_time] = 0
    return spikes


def poisson(data: Tensor, num_steps: int, *, seed: Seed = 0) -> Tensor:
    """Poisson spike counts with the mean x in each timestep; unlike ``rate`` there can be several.

    >>> encoders.poisson(torch.tensor([[0.0, 3.0]]), num_steps=1000).mean(1).round()
    tensor([[0., 3.]])

    Args:
        data: Rates >= 0 in spikes per timestep, ``(batch, ...)``.
        num_steps: T >= 1.
        seed: A number or a generator on the data's device.

    Returns:
        Whole numbers, ``(batch, T, ...)``.

    Raises:
        ValueError: a rate that is negative or not finite, or ``num_steps`` below 1.
    """
    if not bool((torch.isfinite(data) & (data >= 0)).all()):
        raise InputError("data must be rates, finite and not negative")
    return torch.poisson(_float(constant(data, num_steps)).contiguous(), generator=_generator(seed, data.device))


def error_diffusion(data: Tensor, num_steps: int, start: float = 0.5) -> Tensor:
    """Spikes as even as they can be: after t steps floor(t·x + start) of them, never a whole one from t·x.

    What rounding leaves is carried on to the next step, as an IAF neuron with soft reset carries it, and a printer to
    the next dot. So the error of the mean falls as 1/T, that of spikes drawn at random as 1/√T. Nothing is random.

    >>> encoders.error_diffusion(torch.tensor([[0.3, -0.5, 1.5]]), num_steps=4)[0].T
    tensor([[ 0.,  1.,  0.,  0.],
            [ 0., -1.,  0., -1.],
            [ 2.,  1.,  2.,  1.]])

    Args:
        data: Of any size and sign, ``(batch, ...)``: what is above 1 sends several spikes in a step, what is below 0
            spikes of the sign −1.
        num_steps: T >= 1.
        start: What is there before the first step, in [0, 1).

    Returns:
        Whole numbers, ``(batch, T, ...)``.

    Raises:
        ValueError: values that are not finite, ``start`` out of its range, or ``num_steps`` below 1.
    """
    if not bool(torch.isfinite(data).all()):
        raise InputError("data must be finite")
    if not 0 <= start < 1:
        raise InputError(f"start must be from 0 to below 1, got {start}")
    each = constant(data, num_steps).double()
    clock = torch.arange(1, num_steps + 1, device=data.device).reshape(1, -1, *[1] * (data.dim() - 1))
    sent = torch.floor(each * clock + start)
    return torch.diff(sent, dim=1, prepend=torch.zeros_like(sent[:, :1])).to(_float(data).dtype)


def latency(
    data: Tensor,
    num_steps: int,
    threshold: float = 0.01,
    tau: float = 1.0,
    first_spike_time: int = 0,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    bypass: bool = False,
    epsilon: float = 1e-7,
) -> Tensor:
    """One spike per value, the earlier the larger it is.

    The time is τ·ln(x/(x − θ)), when an RC circuit that is charged by the current x passes θ; with ``linear``
    it is τ·(1 − x). Values below θ count as θ and spike last, or never with ``clip``.

    >>> encoders.latency(torch.tensor([[1.0, 0.5, 0.0]]), num_steps=3, linear=True, normalize=True)[0].T
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])

    Args:
        data: In [0, 1], ``(batch, ...)``.
        num_steps: T >= 1.
        threshold: θ in (0, 1).
        tau: τ > 0 in timesteps; with ``linear`` and ``normalize`` it follows from ``num_steps``.
        first_spike_time: Timesteps before the first spike that is possible.
        clip: No spike for values below θ.
        normalize: Stretch the times so that the last spike comes in the last timestep.
        linear: Straight line instead of logarithm.
        bypass: Drop spikes that come after the last timestep rather than refuse them.
        epsilon: How far above θ values are held for the logarithm.

    Returns:
        0 and 1, ``(batch, T, ...)``.

    Raises:
        ValueError: an argument out of its range, or spikes after the last timestep without ``bypass``.
    """
    num_steps = whole("num_steps", num_steps, 1)
    if not bool(((data >= 0) & (data <= 1)).all()):
        raise InputError("data must be in [0, 1]; scale it first")
    if not 0 < threshold < 1:
        raise InputError(f"threshold must be above 0 and below 1, got {threshold}")
    if not tau > 0:
        raise InputError(f"tau must be positive, got {tau}")
    if not 0 <= first_spike_time < max(num_steps, 1):
        raise InputError(f"first_spike_time must be one of the {num_steps} timesteps, got {first_spike_time}")
    room, values = num_steps - 1 - first_spike_time, _float(data)
    if linear:
        after = (room if normalize else tau) * (1 - values.clamp(min=threshold))
    else:
        values = values.clamp(min=threshold + epsilon)
        after = tau * torch.log(values / (values - threshold))
        if normalize and after.numel():
            after = after * room / after.max()
    times = torch.round(after + first_spike_time).long()
    if not bypass and bool((times >= num_steps).any()):
        raise InputError(
            f"the last spike would come at step {int(times.max())}, but num_steps is {num_steps}: raise it, lower tau, "
            "or take normalize=True, or bypass=True to drop late spikes"
        )
    steps = torch.arange(num_steps, device=data.device).reshape(1, -1, *[1] * (data.dim() - 1))
    spikes = constant(times, num_steps) == steps
    if clip:
        spikes = spikes & constant(data >= threshold, num_steps)
    return spikes.to(values.dtype)


def delta(data: Tensor, threshold: float = 0.1, padding: bool = False, off_spike: bool = False) -> Tensor:
    """A spike wherever the data rose by ``threshold`` or more since the timestep before.

    >>> encoders.delta(torch.tensor([[0.0, 0.5, 0.5, 0.0]]), off_spike=True)
    tensor([[ 0.,  1.,  0., -1.]])

    Args:
        data: ``(batch, time, ...)``.
        threshold: How much is a change, > 0.
        padding: Before the first timestep the data is as in it, so that it gives no spike; else it is 0 there.
        off_spike: −1 wherever it fell by as much.

    Returns:
        0, 1 and −1, of the shape of ``data``.

    Raises:
        ValueError: no time axis, or a threshold that is not positive.
    """
    if data.dim() < 2:
        raise InputError(f"data must be (batch, time, ...), got shape {tuple(data.shape)}")
    if not threshold > 0:
        raise InputError(f"threshold must be positive, got {threshold}")
    values = _float(data)
    first = values[:, :1] if padding else torch.zeros_like(values[:, :1])
    change = values - torch.cat([first, values[:, :-1]], 1)
    fell = (change <= -threshold).to(values.dtype) if off_spike else 0.0
    return (change >= threshold).to(values.dtype) - fell


def _float(data: Tensor) -> Tensor:
    return data if data.is_floating_point() else data.to(torch.get_default_dtype())


def _generator(seed: Seed, device: torch.device) -> torch.Generator:
    return seed if isinstance(seed, torch.Generator) else torch.Generator(device).manual_seed(seed)
