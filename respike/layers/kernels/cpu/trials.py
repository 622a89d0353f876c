"""Many thresholds tried on the same currents, compiled for the CPU: currents are read once, spikes never written."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import equations
from .. import eager
from ..rule import Rule, Trials
from .parts import GRADED, SIGNED, bounded, compiled, copy, fired, kind_of, limits_of

CHANNELS = 256
"""Channels at a time: their currents of a few dozen steps stay in the cache while trial after trial reads them."""


@cache
def _kernel(kind: int, levels: int, leaky: bool, floored: bool) -> Any:
    """The compiled trials of a kind of neuron."""
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    signed = kind in (SIGNED, GRADED)

    def kernel(
        most: Any,
        alpha: Any,
        floor: Any,
        steps: Any,
        begin: Any,
        end: Any,
        values: Any,
        target: Any,
        bias: Any,
        theta: Any,
        lost: Any,
        first: Any,
        out: Any,
        sent: Any,
    ) -> None:
        trials, channels = theta.shape
        constant = len(values) == 1
        width = min(channels, CHANNELS)
        potential, sums = np.empty(width, np.float32), np.empty(width, np.float32)
        for a in range(begin, end):
            for start in range(0, channels, CHANNELS):
                cut = slice(start, min(start + CHANNELS, channels))
                wanted_ = target[a, cut]
                v_, net_ = potential[: len(wanted_)], sums[: len(wanted_)]
                for n in range(trials):
                    b_, th_, out_ = bias[n, cut], theta[n, cut], out[n, cut]
                    if leaky:
                        lost_ = lost[n, cut]
                    copy(first[n, cut], v_)
                    net_[:] = zero
                    for t in range(steps):
                        i_ = values[0 if constant else t, a, cut]
                        for k in range(len(v_)):
                            x = i_[k] + b_[k]
                            x = alpha * v_[k] + x + lost_[k] if leaky else v_[k] + x
                            s = fired(kind, most, top, finest, x, th_[k], net_[k] if signed else zero)
                            x = x - s * th_[k]
                            v_[k] = bounded(x, floor * th_[k]) if floored else x
                            net_[k] = net_[k] + s
                    for k in range(len(v_)):
                        net_[k] = net_[k] * th_[k] / np.float32(steps)
                        away = np.float64(net_[k] - wanted_[k])
                        out_[k] = out_[k] + away * away
                    if sent is not None:
                        copy(net_, sent[n, a - begin, cut])

    return compiled(kernel)


def trial_errors(
    rule: Rule, values: Tensor, target: Tensor, trials: Trials, rows: slice, sent: Tensor | None = None
) -> Tensor:
    """See ``_choice.trial_errors``."""
    parts = values, target, trials.threshold, trials.start, trials.bias
    if any(x.dtype != torch.float32 for x in parts):
        return eager.trial_errors(rule, values, target, trials, rows, sent)
    values, target, theta, start, bias = (x.contiguous() for x in parts)
    lost = None
    if rule.alpha is not None:
        lost = equations.leak_compensation(torch.tensor(rule.alpha), theta).numpy()
    found = torch.zeros(theta.shape, dtype=torch.float64)
    _kernel(kind_of(rule), rule.levels, rule.alpha is not None, rule.floor is not None)(
        *limits_of(rule),
        trials.steps,
        *rows.indices(len(target))[:2],
        values.numpy(),
        target.numpy(),
        bias.numpy(),
        theta.numpy(),
        lost,
        start.numpy(),
        found.numpy(),
        None if sent is None else sent.numpy(),
    )
    return found
