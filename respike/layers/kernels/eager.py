"""The reference: the equations, step after step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import equations
from .rule import Drive, Rule, Send, Trials

State = tuple[Tensor, ...]
"""Potential and, for neurons that can take spikes back, net count, each ``(N, ...)``."""


def current(drive: Drive, t: int) -> Tensor:
    """I_t, ``(N, ...)``, in float32 at least."""
    at = t if len(drive.values) > 1 else 0
    total = _scaled(drive.values[at], drive.scale)
    if drive.extra is not None:
        total = total + _scaled(drive.extra[at], drive.extra_scale)
    return total if drive.bias is None else total + drive.bias


def _scaled(x: Tensor, scale: Tensor | None) -> Tensor:
    x = x if x.dtype == torch.float64 else x.float()
    return x if scale is None else x * scale


def scan(rule: Rule, drive: Drive, threshold: Tensor, state: State, send: Send) -> tuple[Tensor, State]:
    """See ``_choice.scan``."""
    shape = (drive.steps, *drive.values.shape[1:])
    kind = send.dtype or (torch.float64 if drive.values.dtype == torch.float64 else torch.float32)
    out = torch.empty_like(drive.values.expand(shape), dtype=kind)
    v_mem, net = state[0], state[1] if rule.counts else None
    for t in range(drive.steps):
        if rule.alpha is None:
            v_mem = v_mem + current(drive, t)
        else:
            lost = equations.leak_compensation(torch.tensor(rule.alpha, device=threshold.device), threshold)
            v_mem = rule.alpha * v_mem + current(drive, t) + lost
        spikes = fire(rule, v_mem, net, threshold)
        v_mem = equations.subtract_reset(v_mem, spikes, threshold)
        if rule.floor is not None:
            v_mem = equations.bound_below(v_mem, rule.floor * threshold)
        net = None if net is None else net + spikes
        out[t] = spikes * send.scale
    return out, (v_mem,) if net is None else (v_mem, net)


def fire(rule: Rule, v_mem: Tensor, net: Tensor | None, threshold: Tensor) -> Tensor:
    """The spikes of one step, in units of θ."""
    if not rule.signed:
        return (
            equations.single_spike(v_mem, threshold)
            if rule.most == 1
            else equations.multi_spike(v_mem, threshold, rule.most)
        )
    if rule.levels > 1:
        return equations.graded_spike(v_mem, net, threshold, rule.levels)
    assert rule.most is not None
    return equations.signed_spike(v_mem, net, threshold, rule.most)


def trial_errors(
    rule: Rule, values: Tensor, target: Tensor, trials: Trials, rows: slice, sent: Tensor | None = None
) -> Tensor:
    """See ``_choice.trial_errors``."""
    values, target = values[:, rows], target[rows]
    found = torch.empty(trials.threshold.shape, dtype=torch.float64, device=values.device)
    for k, (theta, first, bias) in enumerate(zip(trials.threshold, trials.start, trials.bias, strict=True)):
        state = (first, torch.zeros_like(first)) if rule.counts else (first,)
        spikes, _ = scan(rule, Drive(values, trials.steps, bias=bias), theta, state, Send())
        decoded = spikes.sum(0) * theta / trials.steps
        found[k] = (decoded - target).double().square().sum(0)
        if sent is not None:
            sent[k] = decoded
    return found


def pooled_increments(
    values: Tensor, pool: Callable[[Tensor], Tensor], sums: tuple[Tensor, Tensor] | None, geometry: Any
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """See ``_choice.pooled_increments``."""
    del geometry
    total, before = (None, None) if sums is None else sums
    increments = []
    for value in values.unbind(0):  # one after the other, so that blocks of any length give the same sums
        total = _scaled(value, None) if total is None else total + value
        pooled = pool(total)
        increments.append((pooled if before is None else pooled - before).to(values.dtype))
        before = pooled
    assert total is not None
    assert before is not None
    return torch.stack(increments), (total, before)
