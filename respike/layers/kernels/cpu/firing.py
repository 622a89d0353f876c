"""Neurons that fire at currents while these are still in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from .parts import compiled, read

ROW = 1024
"""Neurons at a time, about: whole positions, for which thresholds and the like are laid out once."""


@compiled
def fire(
    count: Any,
    currents: Any,
    at: Any,
    v_at: Any,
    most: Any,
    scale: Any,
    extra: Any,
    form: Any,
    extra_scale: Any,
    bias: Any,
    theta: Any,
    v: Any,
    sent: Any,
) -> None:
    """One step of integrate-and-fire neurons, by the operations of ``scan`` in the same order.

    Args:
        count: Of the neurons.
        currents: Theirs, from the first one on.
        at: Where they begin in ``extra`` and ``sent``.
        v_at: Where they begin in ``v``.
        most: Spikes a step; None for one.
        scale, extra, extra_scale: See ``Drive``; None where there is none.
        form: Of ``extra``.
        scale, extra_scale, bias, theta: Rows of the same length, whole positions.
    """
    zero, one, long = np.float32(0.0), np.float32(1.0), len(theta)
    for start in range(0, count, long):
        n = min(long, count - start)
        c_, v_, s_ = currents[start : start + n], v[v_at + start : v_at + start + n], sent[at + start : at + start + n]
        if extra is not None:
            e_ = extra[at + start : at + start + n]
        for k in range(n):
            x = c_[k]
            if scale is not None:
                x = x * scale[k]
            if extra is not None:
                x = x + read(form, e_[k]) * extra_scale[k]
            x = v_[k] + (x + bias[k])
            if most is None:
                s = one if x >= theta[k] else zero
            else:
                s = min(np.trunc(x / theta[k]), most) if x > zero else zero
            v_[k] = x - s * theta[k]
            s_[k] = np.int8(s)
