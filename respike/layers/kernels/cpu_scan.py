"""The equations compiled for the CPU with numba: a tile of neurons stays in the cache while time goes by.

All arrays are ``(T, N, neurons)`` in the order in which they lie in memory, so channels-last and channels-first are
one case; what belongs to a channel is laid out once for the neurons of a sample. Compiled without fast-math, so that
no rounding differs from torch's. A call runs in the thread that makes it and lets go of the interpreter.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from .. import equations
from . import eager
from .eager import State
from .layout import Layout
from .rule import Drive, Rule, Send

TILE = 1024
"""Neurons at a time: their potentials, thresholds and biases fit the first-level cache."""


BINARY, BURST, SIGNED, GRADED = range(4)
PLAIN, BITS, WHOLE = range(3)
"""How a number lies in memory: as it is, as the bits of a bfloat16, as an 8-bit whole number."""
FORM = {torch.float32: PLAIN, torch.bfloat16: BITS, torch.int8: WHOLE}


@njit(inline="always")
def of_bits(x: Any) -> Any:
    """The bits of a bfloat16, as a float32."""
    return np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


@njit(inline="always")
def to_bits(x: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32, of two the even one."""
    bits = np.float32(x).view(np.uint32)
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@cache
def _keeps() -> bool:
    """Whether compiled code can be kept on disk, so that the next process need not compile it again."""
    try:
        njit(cache=True)(_keeps.__wrapped__)
    except RuntimeError:  # no folder can be written to
        return False
    return True


def compiled(function: Any) -> Any:
    """The function as machine code that runs without the interpreter's lock."""
    # What a kernel encloses are plain numbers: only then does numba find it again on disk.
    return njit(nogil=True, error_model="numpy", cache=_keeps())(function)


@cache
def _kernel(rule: Rule, given: int, more: int, sent: int) -> Any:
    """The compiled scan of a neuron for currents and spikes of these forms."""
    kind = GRADED if rule.levels > 1 else SIGNED if rule.signed else BINARY if rule.most == 1 else BURST
    return _scan_kernel(kind, rule.most or 0, rule.levels, rule.alpha, given, more, sent)


def _scan_kernel(kind: int, limit: int, levels: int, leak: float | None, given: int, more: int, sent: int) -> Any:
    most, top, finest = np.float32(limit or np.inf), levels - 1, np.float32(2 ** (levels - 1))
    signed, leaky, alpha = kind in (SIGNED, GRADED), leak is not None, np.float32(leak or 1.0)
    zero, one, two, half_up = np.float32(0.0), np.float32(1.0), np.float32(2.0), np.float32(1.5)

    def kernel(  # every array ends with the neurons of a sample
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
                v_, b_, th_, sc_ = v[a, cut], bias[cut], theta[cut], scale[cut]
                if first is not None:
                    v_[:] = first[cut]
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
                        x = of_bits(i_[k]) if given == BITS else np.float32(i_[k])
                        if value_scale is not None:
                            x = x * is_[k]
                        if extra is not None:
                            x = x + (of_bits(e_[k]) if more == BITS else np.float32(e_[k])) * es_[k]
                        x = x + b_[k]
                        x = alpha * v_[k] + x + lost_[k] if leaky else v_[k] + x
                        if kind == BINARY:
                            s = one if x >= th_[k] else zero
                        elif kind == BURST:
                            s = min(np.trunc(x / th_[k]), most) if x > zero else zero
                        elif kind == SIGNED:
                            s = max(min(max(np.floor(x / th_[k]), -most), most), -net_[k])
                        else:
                            wanted, back = np.floor(x / th_[k] * finest), net_[k] * finest
                            size, s, half, power = abs(wanted), one, half_up, two
                            for _ in range(top):  # nearest power of two, halfway is up; no more back than there is
                                s = power if size >= half and (wanted > zero or back >= power) else s
                                half, power = half * two, power * two
                            s = s / finest
                            s = s if wanted > zero else -s if wanted < zero and net_[k] > zero else zero
                        v_[k] = x - s * th_[k]
                        if signed:
                            net_[k] = net_[k] + s
                        if sent == BITS:
                            o_[k] = to_bits(s * sc_[k])
                        elif sent == WHOLE:
                            o_[k] = np.int8(s * sc_[k])
                        else:
                            o_[k] = s * sc_[k]

    return compiled(kernel)


def as_numpy(values: Tensor) -> Any:
    return (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()


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
    if out.numel():
        _kernel(rule, FORM[drive.values.dtype], FORM[more], FORM[sent])(
            as_numpy(layout.flat(drive.values)),
            None if drive.scale is None else row(drive.scale),
            None if drive.extra is None else as_numpy(layout.flat(drive.extra)),
            None if drive.extra is None else row(1.0 if drive.extra_scale is None else drive.extra_scale),
            row(0.0 if drive.bias is None else drive.bias),
            row(threshold),
            lost,
            row(send.scale),
            row(state[0][0] if state[0].dim() == len(layout.shape) else state[0]) if new else None,
            v.numpy(),
            counts[0].numpy() if counts else None,
            as_numpy(out).reshape(drive.steps, len(v), -1),
        )
    return layout.named(out), tuple(layout.named_state(s) for s in (v, *counts))
