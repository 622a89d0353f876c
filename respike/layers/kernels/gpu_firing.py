"""When a neuron fires, compiled for CUDA with Triton; see ``gpu``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]


def compiled(function: Callable[..., Any]) -> Any:
    """The function for Triton; as a decorator its own has no types."""
    return triton.jit(function)


@compiled
def floor(x: tl.tensor) -> tl.tensor:
    """Of all numbers: Triton's own takes those below 1.2e-38, which are not normal, for zero."""
    return tl.where((x < 0.0) & (x > -1.0), -1.0, tl.floor(x))


@compiled
def fire(
    v: tl.tensor, theta: tl.tensor, net: tl.tensor, most: tl.constexpr, levels: tl.constexpr, signed: tl.constexpr
) -> tl.tensor:
    """``eager.fire``."""
    if levels > 1:
        s = graded(v, theta, net, levels)
    elif signed:
        s = floor(tl.div_rn(v, theta))
        s = tl.minimum(tl.maximum(s, -most), most)
        if net is not None:
            s = tl.maximum(s, -net)
        s = tl.where(v == v, s, 0.0)
    elif most == 1:
        s = (v >= theta).to(tl.float32)
    else:
        s = tl.where(v > 0.0, floor(tl.div_rn(v, theta)), 0.0)
        if most is not None:
            s = tl.minimum(s, most)
    return s


@compiled
def graded(v: tl.tensor, theta: tl.tensor, net: tl.tensor, levels: tl.constexpr) -> tl.tensor:
    """``equations.graded_spike`` by comparisons."""
    finest: tl.constexpr = 2.0 ** (levels - 1)
    wanted = floor(tl.div_rn(v, theta) * finest)
    size = tl.abs(wanted)
    some = wanted < 0.0 if net is None else (wanted < 0.0) & (net > 0.0)
    sent = tl.full(v.shape, 1.0, tl.float32)
    for i in tl.static_range(1, levels):  # nearest power of two, halfway is up; no more back than there is
        power = 2.0**i
        large = size >= 0.75 * power
        if net is not None:
            large = large & ((wanted > 0.0) | (net * finest >= power))
        sent = tl.where(large, power, sent)
    sent = sent * (1.0 / finest)
    return tl.where(wanted > 0.0, sent, tl.where(some, -sent, 0.0))
