"""Neurons and the cumulative max-pool that reads them, in one pass, compiled for the CPU with numba, channels last.

The spikes between them are never written down: of a 2x2 pool a fourth as much leaves for memory, and none comes back.
Spikes are finite whatever the currents are, so their sums are never NaN.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import equations
from ..eager import State
from ..layout import Layout
from ..memory import empty
from ..rule import Drive, Rule, Send
from .parts import (
    FORM,
    GRADED,
    QUARTERS,
    SIGNED,
    as_numpy,
    bounded,
    compiled,
    copy,
    fired,
    kind_of,
    limits_of,
    read,
    unsigned,
    written,
)

CHANNELS_LAST = [3, 4, 2]


@cache
def _kernel(kind: int, levels: int, leaky: bool, floored: bool, given: int, sent: int) -> Any:
    """The compiled pass of a kind of neuron, for currents and increments of these forms."""
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    signed = kind in (SIGNED, GRADED)

    def kernel(
        most: Any,
        alpha: Any,
        floor: Any,
        new: Any,
        channels: int,
        values: Any,
        value_scale: Any,
        bias: Any,
        theta: Any,
        lost: Any,
        scale: Any,
        first: Any,
        v: Any,
        net: Any,
        sums: Any,
        pooled: Any,
        out: Any,
    ) -> None:
        # Rows in pairs, which is what one row of windows sees, each as it lies: values (T, N, R, 2 W), the rest of the
        # input (N, R, 2 W), what belongs to a neuron (R, 2 W), pooled and out (N, R, W / 2) with T before it.
        steps, samples, rows, width = out.shape
        constant = len(values) == 1
        each, below = unsigned(channels), unsigned(2 * width)
        for a in range(samples):
            for r in range(rows):
                v_, sum_, before, b_, th_ = v[a, r], sums[a, r], pooled[a, r], bias[r], theta[r]
                if scale is not None:
                    sc_ = scale[r]
                if new:
                    copy(first[r], v_)
                if value_scale is not None:
                    is_ = value_scale[r]
                if signed:
                    net_ = net[a, r]
                if leaky:
                    lost_ = lost[r]
                for t in range(steps):
                    i_, o_ = values[0 if constant else t, a, r], out[t, a, r]
                    for k in range(len(v_)):
                        x = read(given, i_[k])
                        if value_scale is not None:
                            x = x * is_[k]
                        x = x + b_[k]
                        x = alpha * v_[k] + x + lost_[k] if leaky else v_[k] + x
                        s = fired(kind, most, top, finest, x, th_[k], net_[k] if signed else zero)
                        x = x - s * th_[k]
                        v_[k] = bounded(x, floor * th_[k]) if floored else x
                        if signed:
                            net_[k] = net_[k] + s
                        sum_[k] = sum_[k] + (s * sc_[k] if scale is not None else s)
                    for q in range(unsigned(0), unsigned(width), each):
                        for k in range(q, q + each):
                            left, right = q + k, q + k + each
                            upper = sum_[left] if sum_[left] > sum_[right] else sum_[right]
                            left, right = left + below, right + below
                            lower = sum_[left] if sum_[left] > sum_[right] else sum_[right]
                            highest = upper if upper > lower else lower
                            o_[k] = written(sent, highest - before[k])
                            before[k] = highest

    return compiled(kernel)


def pooled_scan(
    rule: Rule,
    drive: Drive,
    threshold: Tensor,
    state: State,
    send: Send,
    sums: tuple[Tensor, Tensor] | None,
    geometry: Any,
) -> tuple[Tensor, State, tuple[Tensor, Tensor]] | None:
    """See ``_choice.pooled_scan``; None for what is not compiled."""
    values, sent = drive.values, send.dtype or torch.float32
    fits = geometry == QUARTERS and drive.extra is None and values.dim() == 5 and {values.dtype, sent} <= {*FORM}
    if not fits or not values.numel() or not drive.steps or values.shape[3] % 2 or values.shape[4] % 2:
        return None
    layout = Layout(values)
    if layout.order != CHANNELS_LAST:
        return None
    samples, channels, height, width = layout.shape
    pairs = (height // 2, 2 * width * channels)
    new = layout.fresh(state[0])
    v = torch.empty(samples, layout.neurons) if new else layout.state(state[0])
    counts = [layout.state(s) for s in state[1:]]
    total, pooled = (
        torch.zeros(samples, height, width, channels),
        torch.zeros(samples, height // 2, width // 2, channels),
    )
    if sums is not None:
        total, pooled = (s.movedim(1, -1).clone(memory_format=torch.contiguous_format) for s in sums)
    out = empty(drive.steps, samples, height // 2, width // 2, channels, dtype=sent)

    def row(value: Tensor | float) -> Any:
        return layout.row(value).numpy().reshape(pairs)

    theta = row(threshold)
    lost = None if rule.alpha is None else equations.leak_compensation(torch.tensor(rule.alpha), threshold)
    _kernel(kind_of(rule), rule.levels, rule.alpha is not None, rule.floor is not None, FORM[values.dtype], FORM[sent])(
        *limits_of(rule),
        new,
        channels,
        as_numpy(layout.flat(values)).reshape(-1, samples, *pairs),
        None if drive.scale is None else row(drive.scale),
        row(0.0 if drive.bias is None else drive.bias),
        theta,
        None if lost is None else row(lost),
        None if send.unit else row(send.scale),
        row(state[0][0] if state[0].dim() == len(layout.shape) else state[0]) if new else theta,  # not read
        v.numpy().reshape(samples, *pairs),
        counts[0].numpy().reshape(samples, *pairs) if counts else None,
        total.numpy().reshape(samples, *pairs),
        pooled.numpy().reshape(samples, height // 2, -1),
        as_numpy(out).reshape(drive.steps, samples, height // 2, -1),
    )
    states = tuple(layout.named_state(s) for s in (v, *counts))
    return out.movedim(-1, 2), states, (total.movedim(-1, 1), pooled.movedim(-1, 1))
