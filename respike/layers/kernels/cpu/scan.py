"""The equations compiled for the CPU with numba: a tile of neurons stays in the cache while time goes by.

All arrays are ``(T, N, neurons)`` in the order in which they lie in memory, so channels-last and channels-first are
one case; what belongs to a channel is laid out once for the neurons of a sample. Compiled without fast-math, so that
no rounding differs from torch's, and infinity and NaN are what they are there. A call runs in the thread that makes it
and lets go of the interpreter.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import equations
from .. import eager
from ..eager import State
from ..layout import Layout
from ..rule import Drive, Rule, Send
from .parts import (
    FORM,
    GRADED,
    SIGNED,
    TILE,
    as_numpy,
    bounded,
    compiled,
    copy,
    fired,
    kind_of,
    limits_of,
    read,
    whole,
    written,
)


@cache
def _kernel(kind: int, small: bool, levels: int, leaky: bool, floored: bool, given: int, more: int, sent: int) -> Any:
    """The compiled scan of a kind of neuron for currents and spikes of these forms."""
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    signed = kind in (SIGNED, GRADED)

    def kernel(  # every array ends with the neurons of a sample
        most: Any,
        alpha: Any,
        floor: Any,
        new: Any,
        values: Any,
        value_scale: Any,
        extra: Any,
        extra_scale: Any,
        bias: Any,
        theta: Any,
        lost: Any,
        scale: Any,
        first: Any,
        v: Any,
        net: Any,
        out: Any,
    ) -> None:
        steps, samples, neurons = out.shape
        constant = len(values) == 1
        for a in range(samples):
            for start in range(0, neurons, TILE):
                cut = slice(start, min(start + TILE, neurons))
                v_, b_, th_ = v[a, cut], bias[cut], theta[cut]
                if scale is not None:
                    sc_ = scale[cut]
                if new:
                    copy(first[cut], v_)
                if value_scale is not None:
                    is_ = value_scale[cut]
                if signed:
                    net_ = net[a, cut]
                if leaky:
                    lost_ = lost[cut]
                for t in range(steps):
                    at = 0 if constant else t
                    i_, o_ = values[at, a, cut], out[t, a, cut]
                    if extra is not None:
                        e_, es_ = extra[at, a, cut], extra_scale[cut]
                    for k in range(len(v_)):
                        x = read(given, i_[k])
                        if value_scale is not None:
                            x = x * is_[k]
                        if extra is not None:
                            x = x + read(more, e_[k]) * es_[k]
                        x = x + b_[k]
                        x = alpha * v_[k] + x + lost_[k] if leaky else v_[k] + x
                        s = fired(kind, most, top, finest, x, th_[k], net_[k] if signed else zero)
                        x = x - s * th_[k]
                        v_[k] = bounded(x, floor * th_[k]) if floored else x
                        if signed:
                            net_[k] = net_[k] + s
                        if scale is not None:
                            s = s * sc_[k]
                        o_[k] = whole(sent, s) if small and scale is None else written(sent, s)

    return compiled(kernel)


def scan(rule: Rule, drive: Drive, threshold: Tensor, state: State, send: Send) -> tuple[Tensor, State]:
    """See ``_choice.scan``."""
    more = torch.float32 if drive.extra is None else drive.extra.dtype
    sent = send.dtype or torch.float32
    if not {drive.values.dtype, more, sent} <= {*FORM}:
        return eager.scan(rule, drive, threshold, state, send)
    layout = Layout(drive.values)
    out = layout.empty(drive.steps, sent)
    new = drive.steps > 0 and layout.fresh(state[0])
    v = torch.empty(layout.shape[0], layout.neurons) if new else layout.state(state[0])
    counts = [layout.state(s) for s in state[1:]]

    def row(value: Tensor | float) -> Any:
        return layout.row(value).numpy()

    lost = None
    if rule.alpha is not None:
        lost = row(equations.leak_compensation(torch.tensor(rule.alpha), threshold))
    theta = row(threshold)
    if out.numel():
        kind, small = kind_of(rule), 0 < (rule.most or 0) <= 256
        leaky, floored = rule.alpha is not None, rule.floor is not None
        _kernel(kind, small, rule.levels, leaky, floored, FORM[drive.values.dtype], FORM[more], FORM[sent])(
            *limits_of(rule),
            new,
            as_numpy(layout.flat(drive.values)),
            None if drive.scale is None else row(drive.scale),
            None if drive.extra is None else as_numpy(layout.flat(drive.extra)),
            None if drive.extra is None else row(1.0 if drive.extra_scale is None else drive.extra_scale),
            row(0.0 if drive.bias is None else drive.bias),
            theta,
            lost,
            None if send.unit else row(send.scale),
            row(state[0][0] if state[0].dim() == len(layout.shape) else state[0]) if new else theta,  # not read
            v.numpy(),
            counts[0].numpy() if counts else None,
            as_numpy(out).reshape(drive.steps, len(v), -1),
        )
    return layout.named(out), tuple(layout.named_state(s) for s in (v, *counts))
