"""The cumulative max-pool compiled for the CPU with numba, channels last."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import eager
from .parts import FORM, as_numpy, compiled, copy, larger, read, written


@cache
def _any_kernel(form: int) -> Any:
    """For windows that may overlap or reach over the border."""

    def kernel(values: Any, seen: Any, sums: Any, pooled: Any, out: Any) -> None:
        steps, samples, places, channels = values.shape
        highest = np.empty(channels, np.float32)
        for a in range(samples):
            for t in range(steps):
                for p in range(places):
                    given, total = values[t, a, p], sums[a, p]
                    for c in range(channels):
                        total[c] = total[c] + read(form, given[c])
                for p in range(len(seen)):
                    highest[:] = -np.inf
                    for i in seen[p]:
                        if i >= 0:
                            total = sums[a, i]
                            for c in range(channels):
                                highest[c] = larger(form, total[c], highest[c])
                    before, o = pooled[a, p], out[t, a, p]
                    for c in range(channels):
                        o[c] = written(form, highest[c] - before[c])
                        before[c] = highest[c]

    return compiled(kernel)


@cache
def _quarter_kernel(form: int) -> Any:
    """For windows of 2x2 side by side: the sums of one stay in the cache while time goes by."""

    def kernel(values: Any, seen: Any, sums: Any, pooled: Any, out: Any) -> None:
        steps, samples, _, channels = values.shape
        window = np.empty((4, channels), np.float32)
        s0, s1, s2, s3, before = window[0], window[1], window[2], window[3], np.empty(channels, np.float32)
        for a in range(samples):
            for p in range(len(seen)):
                for k in range(4):
                    copy(sums[a, seen[p, k]], window[k])
                copy(pooled[a, p], before)
                i, j, k, m = seen[p]
                for t in range(steps):
                    x0, x1, x2, x3, o = values[t, a, i], values[t, a, j], values[t, a, k], values[t, a, m], out[t, a, p]
                    for c in range(channels):
                        t0, t1 = s0[c] + read(form, x0[c]), s1[c] + read(form, x1[c])
                        t2, t3 = s2[c] + read(form, x2[c]), s3[c] + read(form, x3[c])
                        s0[c], s1[c], s2[c], s3[c] = t0, t1, t2, t3
                        highest = larger(form, larger(form, t0, t1), larger(form, t2, t3))
                        o[c] = written(form, highest - before[c])
                        before[c] = highest
                for k in range(4):
                    copy(window[k], sums[a, seen[p, k]])
                copy(before, pooled[a, p])

    return compiled(kernel)


@cache
def _windows(size: tuple[int, int], geometry: Any) -> Any:
    """For each place of a max-pool's output the places that it sees, −1 for those outside, ``(places, window)``."""
    kernel, stride, padding, dilation = geometry
    numbers = torch.arange(1, size[0] * size[1] + 1, dtype=torch.float32).reshape(1, 1, *size)
    seen = F.unfold(numbers, kernel, dilation, padding, stride)[0].T
    return (seen.long() - 1).contiguous().numpy()


def pooled_increments(
    values: Tensor, pool: Callable[[Tensor], Tensor], sums: tuple[Tensor, Tensor] | None, geometry: Any
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """See ``_choice.pooled_increments``."""
    if geometry is None or values.dtype not in FORM or not values.numel():
        return eager.pooled_increments(values, pool, sums, geometry)
    steps, samples, channels, *size = values.shape
    seen = _windows((size[0], size[1]), geometry)
    quarters = geometry == ((2, 2), (2, 2), (0, 0), (1, 1)) and not any(n % 2 for n in size)
    kernel = (_quarter_kernel if quarters else _any_kernel)(FORM[values.dtype])
    shape = pool(values[0, :1].float()).shape[2:]
    total = torch.zeros(samples, *size, channels)
    pooled = torch.zeros(samples, *shape, channels)
    if sums is not None:
        total, pooled = (s.movedim(1, -1).clone(memory_format=torch.contiguous_format) for s in sums)
    out = torch.empty(steps, samples, *shape, channels, dtype=values.dtype)
    kernel(
        as_numpy(values.movedim(2, -1).contiguous()).reshape(steps, samples, -1, channels),
        seen,
        total.numpy().reshape(samples, -1, channels),
        pooled.numpy().reshape(samples, -1, channels),
        as_numpy(out).reshape(steps, samples, -1, channels),
    )
    return out.movedim(-1, 2), (total.movedim(-1, 1), pooled.movedim(-1, 1))
