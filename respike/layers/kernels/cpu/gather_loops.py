"""The loops of ``gather``, compiled: events are listed, added up by position, and neurons may fire at the sums.

Functions call each other by their global names and are told of arrays by their addresses: closures are not found again
on disk, and each kind of array takes seconds to compile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .firing import fire
from .gather_code import LOOKED_AT, byte_at, gather16, gather32, gather64, list_bytes, list_reals, real_at
from .parts import compiled
from .whole_code import LARGEST, whole64, whole128

SHORT = 32767
"""The largest number of 16 bits."""


@compiled
def _listed(
    image: Any,
    size: Any,
    sides: Any,
    depth: Any,
    begin: Any,
    count: Any,
    n: Any,
    channels: Any,
    values: Any,
    starts: Any,
) -> Any:
    """Append the events of some channels to n others: their place in the row, their value; how many there are then.

    Args:
        image: Address of ``(h, w, depth)`` numbers of ``size`` bytes: 4 for float32, 1 for int8.
        starts: For each position of each row, and for what is behind it, the number of the first event there.
    """
    whole, at, listed_at = count - count % LOOKED_AT, 0, np.int64(channels.ctypes.data)
    for y in range(sides[0]):
        row, of_row = image + size * (y * sides[1] * depth + begin), n
        for x in range(sides[1]):
            starts[at] = n
            at += 1
            first, place = row + size * x * depth, x * count
            for c in range(0, whole, LOOKED_AT):
                here, to = first + size * c, listed_at + 4 * n
                n += list_reals(here, place + c, to) if size == 4 else list_bytes(here, place + c, to)
            for c in range(whole, count):
                here = first + size * c
                channels[n] = place + c
                n += (real_at(here) if size == 4 else byte_at(here)) != 0
        starts[at] = n
        at += 1
        for e in range(of_row, n):
            k = np.int64(channels[e])
            here = row + size * (k if count == depth else k // count * depth + k % count)
            values[e] = real_at(here) if size == 4 else byte_at(here)
    return n


@compiled
def _gathered(
    block: Any, most: Any, weights: Any, apart: Any, listed: Any, starts: Any, run: Any, begin: Any, to: Any
) -> None:
    """``gather`` for a block of outputs; ``most``: None for real weights, of 8 bits how many products fit 16 bits."""
    if most is not None:
        if block == 128:
            whole128(weights, apart, block, listed[0], listed[1], starts, run[0], run[1], most, begin, to)
        else:
            whole64(weights, apart, block, listed[0], listed[1], starts, run[0], run[1], most, begin, to)
    elif block == 64:
        gather64(weights, apart, block, listed[0], listed[1], starts, run[0], run[1], begin, to)
    elif block == 32:
        gather32(weights, apart, block, listed[0], listed[1], starts, run[0], run[1], begin, to)
    else:
        gather16(weights, apart, block, listed[0], listed[1], starts, run[0], run[1], begin, to)


@compiled
def _most(whole: Any, values: Any, count: Any) -> Any:
    """How many products with such inputs fit 16 bits together; None if weights are real."""
    if whole is None:
        return None
    largest = np.float32(1)
    for k in range(count):
        largest = max(largest, abs(values[k]))
    return np.int64(SHORT) // (LARGEST * np.int64(largest))


@compiled
def convolved(
    images: Any,
    size: Any,
    shape: Any,
    whole: Any,
    rows: Any,
    bias: Any,
    groups: Any,
    padded: Any,
    sides: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    channels: Any,
    values: Any,
    starts: Any,
    together: Any,
    scratch: Any,
    out: Any,
    out_shape: Any,
) -> None:
    """Convolve images ``(M, h, w, C)`` to ``(M, h', w', F)``, ``together`` of them at once.

    Args:
        whole: None if weights are float32, else they have 8 bits.
        rows: Address of the weights.
    """
    bytes_each = np.int64(4) if whole is None else np.int64(1)
    height, width, depth = shape[1:]
    rows_out, columns_out, outputs_out = out_shape[1:]
    count, line, outputs = depth // groups, width + 1, outputs_out // groups
    inputs = sides[1] * count
    listed_at = np.int64(channels.ctypes.data), np.int64(values.ctypes.data)
    starts_at, scratch_at = np.int64(starts.ctypes.data), np.int64(scratch.ctypes.data)
    out_at = np.int64(out.ctypes.data)
    none = np.int64(0)  # the constant 0 would be a type of its own, and the function be compiled twice
    for start in range(0, shape[0], together):
        many = min(together, shape[0] - start)
        for group in range(groups):
            n = np.int64(0)
            for i in range(many):
                image, lines = images + size * (start + i) * height * width * depth, starts[i * height * line :]
                n = _listed(image, size, (height, width), depth, group * count, count, n, channels, values, lines)
            most = _most(whole, values, n)
            f = 0
            while f < padded:
                block = 64 if padded - f >= 64 else 32 if padded - f >= 32 else 16
                if whole is not None:
                    block = 128 if padded - f >= 128 else 64
                begin = bias + 4 * (group * padded + f)
                of_block = rows + bytes_each * sides[0] * inputs * (group * padded + f)
                fits = f + block <= outputs
                for line_out in range(many * rows_out):
                    i, row = divmod(line_out, rows_out)
                    top = row * stride[0] - padding[0]
                    k0 = -(min(top, 0) // dilation[0])
                    k1 = min(sides[0], -((top - height) // dilation[0]))
                    lines_at = starts_at + 4 * (i * height + top) * line
                    where = (start * rows_out + line_out) * columns_out * outputs_out + group * outputs + f
                    for column in range(columns_out):
                        left = column * stride[1] - padding[1]
                        to = out_at + 4 * where if fits else scratch_at
                        if dilation[1] == 1:  # what all kernel columns of a row read lies side by side
                            of_rows = lines_at + 4 * k0 * dilation[0] * line
                            ends = (
                                of_rows + 4 * min(max(left, 0), width),
                                of_rows + 4 * max(min(left + sides[1], width), 0),
                            )
                            weights = of_block + bytes_each * block * (k0 * inputs - left * count)
                            run = dilation[0] * line, max(k1 - k0, 0)
                            _gathered(block, most, weights, inputs * block, listed_at, ends, run, begin, to)
                        else:
                            j0 = -(min(left, 0) // dilation[1])
                            j1 = min(sides[1], -((left - width) // dilation[1]))
                            _gathered(
                                block, most, rows, none, listed_at, (starts_at, starts_at), (none, none), begin, to
                            )
                            run, step = (dilation[1], max(j1 - j0, 0)), count * (1 - dilation[1])
                            for k in range(k0, k1):
                                first = lines_at + 4 * (k * dilation[0] * line + left + j0 * dilation[1])
                                weights = of_block + bytes_each * block * (k * inputs - left * count + j0 * step)
                                _gathered(
                                    block, most, weights, step * block, listed_at, (first, first + 4), run, to, to
                                )
                        if not fits:
                            for k in range(outputs - f):
                                out[where + k] = scratch[k]
                        where += outputs_out
                f += block


@compiled
def driven(
    images: Any,
    size: Any,
    steps: Any,
    samples: Any,
    shape: Any,
    whole: Any,
    rows: Any,
    bias: Any,
    groups: Any,
    padded: Any,
    sides: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    channels: Any,
    values: Any,
    starts: Any,
    together: Any,
    scratch: Any,
    currents: Any,
    out_shape: Any,
    neurons: Any,
) -> None:
    """``together`` samples over all steps, then the next: images are ``(T, N, ...)``; see ``firing.fire``."""
    each, outputs = size * shape[0] * shape[1] * shape[2], out_shape[0] * out_shape[1] * out_shape[2]
    for first in range(0, samples, together):
        many = min(together, samples - first)
        for t in range(steps):
            at = t * samples + first
            convolved(
                images + at * each,
                size,
                (many, shape[0], shape[1], shape[2]),
                whole,
                rows,
                bias,
                groups,
                padded,
                sides,
                stride,
                padding,
                dilation,
                channels,
                values,
                starts,
                together,
                scratch,
                currents,
                (many, out_shape[0], out_shape[1], out_shape[2]),
            )
            fire(many * outputs, currents, at * outputs, first * outputs, *neurons)
