"""Synapses whose cost follows the spikes: what is 0 is passed over, and what is not adds its weights up.

The inputs of an image that are not 0, the events, are listed once, row by row. Each output position then adds up the
weights of the events around it, in the order in which they are listed: by kernel row, column, channel. So its sum does
not depend on what else is in the batch, on threads or on pieces, and is that of a convolution up to the order of
additions. A sum of whole numbers is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .cpu_gather import LOOKED_AT, WIDTHS, gather16, gather32, gather64, lowest_bit, nonzero
from .cpu_parts import as_numpy, compiled

BLOCK = min(WIDTHS)
"""Outputs are padded to a multiple of this."""
FEWEST = 8192
"""Products of an output position, for all outputs of a group, from which on events are quicker.

To find the events around a position takes about as long as 3,000 products of a dense convolution, and each event as
much as three of them for each output: with one input in ten active, both ways take equally long from about here on.
"""


def _listing() -> Any:
    def kernel(image: Any, begin: Any, count: Any, channels: Any, values: Any, starts: Any) -> None:
        """The events of some channels: their place in the row, their value, and where each position's begin."""
        height, width, depth = image.shape
        flat = image.reshape(-1)
        address, size, kind = np.int64(image.ctypes.data), np.int64(image.itemsize), flat[0]
        n, whole = 0, count - count % LOOKED_AT
        for y in range(height):
            for x in range(width):
                starts[y, x] = n
                first, place = (y * width + x) * depth + begin, x * count
                for c in range(0, whole, LOOKED_AT):
                    bits = nonzero(np.int64(address + size * (first + c)), kind)
                    while bits != 0:
                        k = c + lowest_bit(bits)
                        channels[n], values[n] = place + k, flat[first + k]
                        n += 1
                        bits = np.uint32(bits & np.uint32(bits - np.uint32(1)))
                for c in range(whole, count):
                    if flat[first + c] != 0:
                        channels[n], values[n] = place + c, flat[first + c]
                        n += 1
            starts[y, width] = n

    return compiled(kernel)


_listed = _listing()


def _convolving() -> Any:
    listed = _listed

    def kernel(
        images: Any,
        rows: Any,
        bias: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        kernel_width: Any,
        channels: Any,
        values: Any,
        starts: Any,
        scratch: Any,
        out: Any,
    ) -> None:
        height, width = images.shape[1:3]
        groups, kernel_height, inputs, padded = rows.shape
        count, line = inputs // kernel_width, width + 1
        outputs = out.shape[3] // groups
        listed_at = np.int64(channels.ctypes.data), np.int64(values.ctypes.data)
        starts_at, rows_at = np.int64(starts.ctypes.data), np.int64(rows.ctypes.data)
        bias_at, scratch_at = np.int64(bias.ctypes.data), np.int64(scratch.ctypes.data)
        out_at, flat = np.int64(out.ctypes.data), out.reshape(-1)
        for image in range(len(images)):
            for group in range(groups):
                listed(images[image], group * count, count, channels, values, starts)
                for row in range(out.shape[1]):
                    top = row * stride[0] - padding[0]
                    k0 = -(min(top, 0) // dilation[0])
                    k1 = min(kernel_height, -((top - height) // dilation[0]))
                    for column in range(out.shape[2]):
                        left = column * stride[1] - padding[1]
                        place = ((image * out.shape[1] + row) * out.shape[2] + column) * out.shape[3] + group * outputs
                        to = out_at + 4 * place if outputs == padded else scratch_at
                        begin = bias_at + 4 * group * padded
                        if dilation[1] == 1:  # what all kernel columns of a row read lies side by side
                            first = starts_at + 4 * ((top + k0 * dilation[0]) * line + min(max(left, 0), width))
                            last = starts_at + 4 * (
                                (top + k0 * dilation[0]) * line + max(min(left + kernel_width, width), 0)
                            )
                            weights = rows_at + 4 * padded * ((group * kernel_height + k0) * inputs - left * count)
                            run = np.int64(dilation[0] * line), np.int64(max(k1 - k0, 0))
                            _added(weights, inputs * padded, padded, listed_at, (first, last), run, begin, to)
                        else:
                            j0 = -(min(left, 0) // dilation[1])
                            j1 = min(kernel_width, -((left - width) // dilation[1]))
                            at = starts_at + 4 * (left + j0 * dilation[1])
                            run = np.int64(dilation[1]), np.int64(max(j1 - j0, 0))
                            none = np.int64(0), np.int64(0)
                            _added(rows_at, 0, padded, listed_at, (starts_at, starts_at), none, begin, to)
                            step = count * (1 - dilation[1])
                            for k in range(k0, k1):
                                first = at + 4 * (top + k * dilation[0]) * line
                                weights = rows_at + 4 * padded * (
                                    (group * kernel_height + k) * inputs - left * count + j0 * step
                                )
                                _added(weights, step * padded, padded, listed_at, (first, first + 4), run, to, to)
                        if outputs != padded:
                            flat[place : place + outputs] = scratch[:outputs]

    return compiled(kernel)


def _adding() -> Any:
    def kernel(
        weights: Any, rows_apart: Any, padded: Any, listed_at: Any, starts: Any, run: Any, begin: Any, to: Any
    ) -> None:
        """``gather`` for all outputs of a group, block by block."""
        f = 0
        while f + 64 <= padded:
            gather64(
                weights + 4 * f, rows_apart, padded, listed_at[0], listed_at[1], starts, run[0], run[1],
                begin + 4 * f, to + 4 * f,
            )  # fmt: skip
            f += 64
        if f + 32 <= padded:
            gather32(
                weights + 4 * f, rows_apart, padded, listed_at[0], listed_at[1], starts, run[0], run[1],
                begin + 4 * f, to + 4 * f,
            )  # fmt: skip
            f += 32
        if f + 16 <= padded:
            gather16(
                weights + 4 * f, rows_apart, padded, listed_at[0], listed_at[1], starts, run[0], run[1],
                begin + 4 * f, to + 4 * f,
            )  # fmt: skip

    return compiled(kernel)


_added = _adding()
_convolved = _convolving()


def pays(weights: int, outputs: int, groups: int) -> bool:
    """Whether events are quicker than a dense convolution, if about one input in ten is not 0."""
    return weights // groups >= FEWEST and outputs // groups >= BLOCK


class EventSynapses:
    """A convolution of images, or a linear layer as one of single positions, by events.

    Args:
        weight: ``(F, C, kh, kw)`` for C channels in each group.
        bias: ``(F,)`` or None.
        stride, padding, dilation: ``(vertical, horizontal)``.
        groups: Groups of channels.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        self.outputs, self.kernel = len(weight), tuple(weight.shape[2:])
        self.stride, self.padding, self.dilation = stride, padding, dilation
        each = self.outputs // groups
        padded = -(-each // BLOCK) * BLOCK
        rows = weight.float().unflatten(0, (groups, each)).permute(0, 3, 4, 2, 1).flatten(2, 3)
        self.rows = torch.nn.functional.pad(rows, (0, padded - each)).contiguous()
        of_group = torch.zeros(groups, each) if bias is None else bias.float().reshape(groups, each)
        self.bias = torch.nn.functional.pad(of_group, (0, padded - each)).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs ``(M, F, h', w')``, channels last, for inputs ``(M, C, h, w)``, float32 or int8."""
        images = x.permute(0, 2, 3, 1).contiguous()
        count, height, width, _ = images.shape
        sides = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                (height, width), self.padding, self.dilation, self.kernel, self.stride, strict=True
            )
        ]
        out = torch.empty(count, *sides, self.outputs)
        events = images[0].numel() // len(self.rows) if count else 0
        if out.numel():
            _convolved(
                as_numpy(images),
                self.rows.numpy(),
                self.bias.numpy(),
                self.stride,
                self.padding,
                self.dilation,
                self.kernel[1],
                np.empty(events, np.int32),
                np.empty(events, np.float32),
                np.empty((height, width + 1), np.int32),
                np.empty(self.rows.shape[-1], np.float32),
                out.numpy(),
            )
        return out.permute(0, 3, 1, 2)
