"""Faster spellings of the equations, for inference: the same numbers, bit for bit, in fewer passes over memory."""

from __future__ import annotations

import torch
from torch import Tensor

from . import equations


@torch.no_grad()
def soft_reset_scan(
    currents: Tensor, v_mem: Tensor, threshold: Tensor, alpha: Tensor | None = None, most: int | None = 1
) -> tuple[Tensor, Tensor]:
    """Soft-reset neurons over all timesteps, without synapse, lower bound or gradient.

    Args:
        currents: ``(T, N, ...)``, time first; may be expanded from a constant current.
        v_mem: Potential before the first step, ``(N, ...)``; not changed.
        threshold: θ, broadcasting over ``(N, ...)``.
        alpha: Leak, with its compensation (``equations.leak_compensation``); None for IAF.
        most: Most spikes a step; None for no limit.

    Returns:
        Spikes ``(T, N, ...)`` and the potential after the last step.
    """
    spikes = torch.empty_like(currents, memory_format=torch.contiguous_format)
    v_mem = v_mem.clone()
    lost = None if alpha is None else equations.leak_compensation(alpha, threshold)
    for current, out in zip(currents.unbind(0), spikes.unbind(0), strict=True):
        if alpha is not None and lost is not None:
            torch.add(alpha * v_mem, current, out=v_mem).add_(lost)
        else:
            v_mem.add_(current)
        if most == 1:
            torch.ge(v_mem, threshold, out=out)
            v_mem.addcmul_(out, threshold, value=-1)
        else:
            out.copy_(equations.multi_spike(v_mem, threshold, most))
            # One spike times θ is exact, so one rounding or two is the same; of several it is not.
            v_mem.sub_(out * threshold)
    return spikes, v_mem


@torch.no_grad()
def signed_scan(
    currents: Tensor, v_mem: Tensor, net: Tensor, threshold: Tensor, most: int, levels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Soft-reset neurons that can take spikes back, over all timesteps.

    Args:
        currents: ``(T, N, ...)``, time first; may be expanded from a constant current.
        v_mem: Potential before the first step, ``(N, ...)``; not changed.
        net: Spikes sent so far less those taken back, ``(N, ...)``; not changed.
        threshold: θ, broadcasting over ``(N, ...)``.
        most: Most spikes a step; for one level.
        levels: Weights of a spike, 1, 1/2, ...; with more than one there is one spike a step.

    Returns:
        Spikes ``(T, N, ...)`` in units of θ, and potential and net count after the last step.
    """
    spikes = torch.empty_like(currents, memory_format=torch.contiguous_format)
    v_mem, net = v_mem.clone(), net.clone()
    for current, out in zip(currents.unbind(0), spikes.unbind(0), strict=True):
        v_mem.add_(current)
        if levels == 1:
            out.copy_(equations.signed_spike(v_mem, net, threshold, most))
        else:
            out.copy_(equations.graded_spike(v_mem, net, threshold, levels))
        v_mem.sub_(out * threshold)
        net.add_(out)
    return spikes, v_mem, net
