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
from ..memory import empty
from .parts import FORM, QUARTERS, as_numpy, compiled, copy, larger, read, unsigned, written


@cache
def _any_kernel(form: int) -> Any:
    """For windows that may overlap or reach over the border: the highest of each column first, then of each row."""

    def kernel(values: Any, of_rows: Any, of_columns: Any, sums: Any, pooled: Any, out: Any) -> None:
        # Images with all numbers of a row side by side, (..., rows, columns · channels).
        steps, samples, high, wide = out.shape
        channels = unsigned(wide // len(of_columns))
        line, highest = np.empty(sums.shape[2], np.float32), np.empty(wide, np.float32)
        for a in range(samples):
            for t in range(steps):
                for y in range(sums.shape[1]):
                    given, total = values[t, a, y], sums[a, y]
                    for k in range(len(total)):
                        total[k] = total[k] + read(form, given[k])
                for y in range(high):
                    before, made = pooled[a, y], out[t, a, y]
                    for k in range(len(line)):
                        line[k] = -np.inf
                    for i in of_rows[y]:
                        if i >= 0:
                            total = sums[a, i]
                            for k in range(len(line)):
                                line[k] = larger(form, total[k], line[k])
                    for k in range(wide):
                        highest[k] = -np.inf
                    for x in range(len(of_columns)):
                        to = unsigned(x) * channels
                        for j in of_columns[x]:
                            if j >= 0:
                                at = unsigned(j) * channels
                                for c in range(unsigned(0), channels):
                                    highest[to + c] = larger(form, line[at + c], highest[to + c])
                    for k in range(wide):
                        made[k] = written(form, highest[k] - before[k])
                        before[k] = highest[k]

    return compiled(kernel)


@cache
def _quarter_kernel(form: int) -> Any:
    """For windows of 2x2 side by side: the sums of one stay in the cache while time goes by."""

    def kernel(values: Any, sums: Any, pooled: Any, out: Any) -> None:
        steps, samples, rows, columns, channels = out.shape
        window = np.empty((4, channels), np.float32)
        s0, s1, s2, s3, before = window[0], window[1], window[2], window[3], np.empty(channels, np.float32)
        for a in range(samples):
            for y in range(rows):
                upper, lower = sums[a, 2 * y], sums[a, 2 * y + 1]
                for x in range(columns):
                    copy(upper[2 * x], s0)
                    copy(upper[2 * x + 1], s1)
                    copy(lower[2 * x], s2)
                    copy(lower[2 * x + 1], s3)
                    copy(pooled[a, y, x], before)
                    for t in range(steps):
                        above, below, o = values[t, a, 2 * y], values[t, a, 2 * y + 1], out[t, a, y, x]
                        x0, x1, x2, x3 = above[2 * x], above[2 * x + 1], below[2 * x], below[2 * x + 1]
                        for c in range(channels):
                            t0, t1 = s0[c] + read(form, x0[c]), s1[c] + read(form, x1[c])
                            t2, t3 = s2[c] + read(form, x2[c]), s3[c] + read(form, x3[c])
                            s0[c], s1[c], s2[c], s3[c] = t0, t1, t2, t3
                            highest = larger(form, larger(form, t0, t1), larger(form, t2, t3))
                            o[c] = written(form, highest - before[c])
                            before[c] = highest
                    copy(s0, upper[2 * x])
                    copy(s1, upper[2 * x + 1])
                    copy(s2, lower[2 * x])
                    copy(s3, lower[2 * x + 1])
                    copy(before, pooled[a, y, x])

    return compiled(kernel)


@cache
def _lines(length: int, kernel: int, stride: int, padding: int, dilation: int) -> Any:
    """For each place of a max-pool's output along an axis the places that it sees, −1 for those outside."""
    numbers = torch.arange(1, length + 1, dtype=torch.float32).reshape(1, 1, length, 1)
    seen = F.unfold(numbers, (kernel, 1), (dilation, 1), (padding, 0), (stride, 1))[0].T
    return (seen.long() - 1).contiguous().numpy()


def pooled_increments(
    values: Tensor, pool: Callable[[Tensor], Tensor], sums: tuple[Tensor, Tensor] | None, geometry: Any
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """See ``_choice.pooled_increments``."""
    if geometry is None or values.dtype not in FORM or not values.numel():
        return eager.pooled_increments(values, pool, sums, geometry)
    steps, samples, channels, *size = values.shape
    shape = pool(values[0, :1].float()).shape[2:]
    total = torch.zeros(samples, *size, channels)
    pooled = torch.zeros(samples, *shape, channels)
    if sums is not None:
        total, pooled = (s.movedim(1, -1).clone(memory_format=torch.contiguous_format) for s in sums)
    out = empty(steps, samples, *shape, channels, dtype=values.dtype)
    images = as_numpy(values.movedim(2, -1).contiguous())
    if geometry == QUARTERS and not any(n % 2 for n in size):
        _quarter_kernel(FORM[values.dtype])(images, total.numpy(), pooled.numpy(), as_numpy(out))
    else:
        lines = (_lines(*of_axis) for of_axis in zip(size, *geometry, strict=True))
        rows = (x.reshape(*x.shape[:-2], -1) for x in (total.numpy(), pooled.numpy(), as_numpy(out)))
        _any_kernel(FORM[values.dtype])(images.reshape(*images.shape[:-2], -1), *lines, *rows)
    return out.movedim(-1, 2), (total.movedim(-1, 1), pooled.movedim(-1, 1))
