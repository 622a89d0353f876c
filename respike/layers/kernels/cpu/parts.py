"""What the kernels for the CPU have in common: forms of numbers in memory, and when a neuron fires."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..kept import kept
from ..rule import Rule

TILE = 1024
"""Neurons at a time: their potentials, thresholds and biases fit the first-level cache."""

BINARY, BURST, SIGNED, GRADED, TWO_SIDED, GRADED_TWO_SIDED = range(6)
PLAIN, BITS, WHOLE = range(3)
"""How a number lies in memory: as it is, as the bits of a bfloat16, as an 8-bit whole number."""
FORM = {torch.float32: PLAIN, torch.bfloat16: BITS, torch.int8: WHOLE}

QUARTERS = ((2, 2), (2, 2), (0, 0), (1, 1))
"""The geometry of a pool whose windows of 2x2 lie side by side."""
unsigned: Any = np.uint64
"""Of indices that cannot be negative: others numba would test one by one, and do nothing side by side."""


@njit(error_model="numpy")
def of_bits(x: Any) -> Any:
    """The bits of a bfloat16, as a float32."""
    return np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


@njit(error_model="numpy")
def to_bits(x: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32, of two the even one."""
    bits = np.float32(x).view(np.uint32)
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@njit(error_model="numpy")
def fired(kind: Any, most: Any, top: Any, finest: Any, x: Any, theta: Any, net: Any) -> Any:
    """The spikes of a potential, in units of θ, see ``eager.fire``; ``kind``, ``top``, ``finest`` are constants."""
    zero, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    if kind == BINARY:
        s = one if x >= theta else zero
    elif kind == BURST:
        s = min(np.trunc(x / theta), most) if x > zero else zero
    elif kind == TWO_SIDED:
        s = min(max(np.floor(x / theta), -most), most) if x == x else zero
    elif kind == SIGNED:
        s = max(min(max(np.floor(x / theta), -most), most), -net) if x == x else zero
    else:
        wanted, back = np.floor(x / theta * finest), net * finest
        size, s, half, power = abs(wanted), one, np.float32(1.5), two
        for _ in range(top):  # nearest power of two, halfway is up; no more back than there is
            s = power if size >= half and (kind == GRADED_TWO_SIDED or wanted > zero or back >= power) else s
            half, power = half * two, power * two
        s = s / finest
        s = s if wanted > zero else -s if wanted < zero and (kind == GRADED_TWO_SIDED or net > zero) else zero
    return s


@njit(error_model="numpy")
def bounded(v: Any, low: Any) -> Any:
    """A potential that cannot sink below ``low``, see ``equations.bound_below``."""
    above = v - low
    return (np.float32(0.0) if above <= np.float32(0.0) else above) + low  # of NaN the comparison is false


@njit(error_model="numpy")
def read(form: Any, x: Any) -> Any:
    """A number in memory, as a float32."""
    return of_bits(x) if form == BITS else np.float32(x)


@njit(error_model="numpy")
def written(form: Any, x: Any) -> Any:
    """A float32 as a number in memory."""
    if form == BITS:
        found = to_bits(x)
    elif form == WHOLE:
        found = np.int8(x)
    else:
        found = x
    return found


@njit(error_model="numpy")
def larger(form: Any, a: Any, b: Any) -> Any:
    """The larger of two sums, of which NaN is larger than any, as in torch's pools; spikes are never NaN."""
    return (a if (a > b) | (a != a) else b) if form == PLAIN else a if a > b else b


@njit(error_model="numpy")
def whole(form: Any, x: Any) -> Any:
    """A small whole number, a float32, as a number in memory: a bfloat16 holds it exactly."""
    return np.uint16(np.float32(x).view(np.uint32) >> np.uint32(16)) if form == BITS else written(form, x)


@njit(error_model="numpy")
def copy(values: Any, to: Any) -> None:
    """``to[:] = values`` of one axis, for which numba would compile strings for a message about shapes, in seconds."""
    for k in range(len(to)):
        to[k] = values[k]


@cache
def _keeps() -> bool:
    """Whether compiled code can be kept on disk, so that the next process need not compile it again."""
    try:
        with kept():
            njit(cache=True)(_keeps.__wrapped__)
    except RuntimeError:  # no folder can be written to
        return False
    return True


def compiled(function: Any) -> Any:
    """The function as machine code that runs without the interpreter's lock."""
    # What a kernel encloses are plain numbers: only then does numba find it again on disk.
    with kept():
        made = njit(nogil=True, error_model="numpy", cache=_keeps())(function)
    if _keeps():
        cache: Any = made._cache  # type: ignore[attr-defined]  # nothing public says what to do where it cannot be kept
        save = cache.save_overload

        def saved_if_there_is_room(*parts: Any) -> None:
            with contextlib.suppress(OSError):  # a full disk: it is compiled all the same, and only not kept
                save(*parts)

        cache.save_overload = saved_if_there_is_room
    return made


def part(function: Any) -> Any:
    """A function that becomes a part of those that call it: compiled by itself it would be compiled twice."""
    return njit(inline="always", error_model="numpy")(function)


def kind_of(rule: Rule) -> int:
    """Which of the ways to fire a neuron has."""
    if rule.two_sided:
        return GRADED_TWO_SIDED if rule.levels > 1 else TWO_SIDED
    return GRADED if rule.levels > 1 else SIGNED if rule.signed else BINARY if rule.most == 1 else BURST


def limits_of(rule: Rule) -> tuple[Any, Any, Any]:
    """Most spikes a step, the share of the potential that a step leaves over, and its lower bound in units of θ.

    Arguments of a kernel rather than constants in it: networks that differ in nothing else run the same machine code.
    """
    return np.float32(rule.most or np.inf), np.float32(rule.alpha or 1.0), np.float32(rule.floor or 0.0)


def as_numpy(values: Tensor) -> Any:
    return (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()
