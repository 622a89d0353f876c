"""Convolutions of 3×3 without gaps, event by event: each adds its weights to the nine outputs around it.

Sums grow line by line of the image: an output adds up the events of the line above it, then of its own, then of the one
below, each by column and channel, for 64 channels and then for the next 64. That depends on nothing else in the batch.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..memory import empty
from .firing import fire
from .masks import CHANNELS, LOOKED_AT, mask_of, more_of
from .parts import compiled, part
from .spread_code import (
    SIDE,
    WIDTHS,
    spread_bytes,
    spread_ones,
    spread_reals,
)

WIDTH = WIDTHS[-1]
"""Outputs have to be a multiple of this."""
WIDEST = WIDTHS[0]
TOGETHER = 256
"""Positions that a block of weights is used for, at least, before the next one takes its place in the cache."""
SMALLEST = 6
"""Sides of a map from which on it pays: of smaller ones, many outputs around a position lie outside."""

reals_wide, bytes_wide = spread_reals[WIDEST], spread_bytes[WIDEST]
reals_narrow, bytes_narrow = spread_reals[WIDTH], spread_bytes[WIDTH]
ones_wide, ones_narrow = spread_ones[WIDEST], spread_ones[WIDTH]


@part
def _line(
    reals: Any,
    ones: Any,
    wide: Any,
    weights: Any,
    inputs: Any,
    columns: Any,
    bases: Any,
    between: Any,
    rows: Any,
    apart: Any,
    line: Any,
    spill: Any,
) -> None:
    """``spread`` for a block of outputs; only that for the kind of inputs is compiled."""
    if reals is None:
        if ones and wide:
            ones_wide(weights, inputs, columns, bases, between, rows, apart, line, spill)
        elif ones:
            ones_narrow(weights, inputs, columns, bases, between, rows, apart, line, spill)
        elif wide:
            bytes_wide(weights, inputs, columns, bases, between, rows, apart, line, spill)
        else:
            bytes_narrow(weights, inputs, columns, bases, between, rows, apart, line, spill)
    elif wide:
        reals_wide(weights, inputs, columns, bases, between, rows, apart, line, spill)
    else:
        reals_narrow(weights, inputs, columns, bases, between, rows, apart, line, spill)


@part
def _line_at(to: Any, row: Any, rows: Any, long: Any, spill: Any) -> Any:
    """Address of a line of outputs, or of a place for one that is none."""
    return to + row * long if 0 <= row < rows else spill


@compiled
def _convolved(
    images: Any,
    reals: Any,
    shape: Any,
    weights: Any,
    bias: Any,
    padding: Any,
    masks: Any,
    together: Any,
    spill: Any,
    out: Any,
    out_shape: Any,
) -> None:
    """All images, ``together`` at a time.

    Args:
        images: Address of ``shape`` numbers, channels last.
        reals: None if they have 8 bits.
        weights: Address of the blocks of weights, see ``SpreadSynapses``.
        masks: Room for one of each position of some images.
        spill: Room for a line of outputs that nobody reads.
    """
    size = 1 if reals is None else 4
    height, width, depth = shape[1], shape[2], shape[3]
    rows, columns, outputs = out_shape[1], out_shape[2], out_shape[3]
    out_at, spill_at = np.int64(out.ctypes.data), np.int64(spill.ctypes.data)
    masks_at, bias_at = np.int64(masks.ctypes.data), np.int64(bias.ctypes.data)
    step, apart, none = np.int64(size * depth), np.int64(4 * outputs), np.int64(0)
    for start in range(0, shape[0], together):
        many = min(together, shape[0] - start)
        for first in range(0, depth, CHANNELS):
            count = min(CHANNELS, depth - first)
            here, more = images + size * (start * height * width * depth + first), np.int64(0)
            for at in range(many * height * width):
                masks[at] = mask_of(here, reals, count)
                if reals is None:
                    more |= more_of(here, count)
                here += step
            behind = np.int64(0) if count == CHANNELS else np.int64(1) << count
            block, f = weights + 4 * SIDE * SIDE * outputs * (first + first // CHANNELS), 0
            while f < outputs:
                wide = outputs - f >= WIDEST
                for i in range(many):
                    to = out_at + 4 * ((start + i) * rows * columns * outputs + f)
                    of_image = images + size * ((start + i) * height * width * depth + first)
                    for y in range(height):
                        lines = (
                            _line_at(to, y + padding[0], rows, columns * apart, spill_at),
                            _line_at(to, y + padding[0] - 1, rows, columns * apart, spill_at),
                            _line_at(to, y + padding[0] - 2, rows, columns * apart, spill_at),
                        )
                        bases, between = lines, (apart, apart, apart)
                        if first == 0:  # a line of outputs begins with the bias where it is reached first
                            of_outputs = bias_at + 4 * f
                            if y == 0:
                                bases, between = (of_outputs, of_outputs, of_outputs), (none, none, none)
                            else:
                                bases, between = (of_outputs, lines[1], lines[2]), (none, apart, apart)
                        inputs = of_image + y * width * step, step, masks_at + 8 * (i * height + y) * width, behind
                        told = columns, padding[1]
                        _line(
                            reals, more == 0, wide, block, inputs, width, bases, between, lines, apart, told, spill_at
                        )
                f += WIDEST if wide else WIDTH
                block += 4 * SIDE * SIDE * (count + 1) * (WIDEST if wide else WIDTH)


@compiled
def _driven(
    images: Any,
    reals: Any,
    steps: Any,
    samples: Any,
    shape: Any,
    weights: Any,
    bias: Any,
    padding: Any,
    masks: Any,
    together: Any,
    spill: Any,
    currents: Any,
    out_shape: Any,
    neurons: Any,
) -> None:
    """``together`` samples over all steps, then the next: images are ``(T, N, ...)``; see ``firing.fire``."""
    each = np.int64(1 if reals is None else 4) * shape[0] * shape[1] * shape[2]
    size = out_shape[0] * out_shape[1] * out_shape[2]
    for first in range(0, samples, together):
        many = min(together, samples - first)
        for t in range(steps):
            at = t * samples + first
            _convolved(
                images + at * each,
                reals,
                (many, shape[0], shape[1], shape[2]),
                weights,
                bias,
                padding,
                masks,
                together,
                spill,
                currents,
                (many, out_shape[0], out_shape[1], out_shape[2]),
            )
            fire(many * size, currents, at * size, first * size, *neurons)


def fits(weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether such a convolution is one of these."""
    plain = tuple(stride) == tuple(dilation) == (1, 1) and groups == 1
    return plain and tuple(weight.shape[2:]) == (SIDE, SIDE) and max(padding) < SIDE and len(weight) % WIDTH == 0


class SpreadSynapses:
    """A convolution that ``fits``.

    Args:
        weight: ``(F, C, 3, 3)``.
        bias: ``(F,)``.
        padding: ``(vertical, horizontal)``.
    """

    def __init__(self, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> None:
        self.padding, self.bias = padding, bias.contiguous()
        of_inputs = pad(weight.float().permute(2, 3, 0, 1), (0, -weight.shape[1] % LOOKED_AT)).permute(3, 0, 1, 2)
        blocks = []
        for some in of_inputs.split(CHANNELS):
            some = torch.cat([some, torch.zeros_like(some[:1])])  # of an event that is none
            f = 0
            while f < len(weight):
                size = WIDEST if len(weight) - f >= WIDEST else WIDTH
                blocks.append(some[..., f : f + size].flatten())
                f += size
        self.weights = torch.cat(blocks)

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs ``(M, h', w', F)`` of images ``(M, h, w, C)``, contiguous, float32 or int8."""
        images = self._padded(images)
        out = empty(len(images), *self.sides_of(images), len(self.bias))
        if out.numel():
            _convolved(
                images.data_ptr(),
                None if images.dtype == torch.int8 else True,
                tuple(images.shape),
                *self._rest(images, self._together(images, len(images)), out.view(-1).numpy()),
                tuple(out.shape),
            )
        return out

    def drive(self, images: Tensor, samples: int, neurons: tuple[Any, ...]) -> None:
        """Let neurons fire at the outputs of images ``(T · N, h, w, C)``, see ``firing.fire``."""
        images = self._padded(images)
        out_shape, together = (*self.sides_of(images), len(self.bias)), self._together(images, samples)
        _driven(
            images.data_ptr(),
            None if images.dtype == torch.int8 else True,
            len(images) // samples,
            samples,
            tuple(images.shape[1:]),
            *self._rest(images, together, np.empty(together * prod(out_shape), np.float32)),
            out_shape,
            neurons,
        )

    def sides_of(self, images: Tensor) -> tuple[int, int]:
        """Height and width of the outputs of images ``(M, h, w, C)``."""
        height, width = (n + 2 * p - SIDE + 1 for n, p in zip(images.shape[1:3], self.padding, strict=True))
        return height, width

    def _padded(self, images: Tensor) -> Tensor:
        missing = -images.shape[3] % LOOKED_AT
        return pad(images, (0, missing)) if missing else images

    def _together(self, images: Tensor, samples: int) -> int:
        return min(samples, max(1, TOGETHER // (images.shape[1] * images.shape[2])))

    def _rest(self, images: Tensor, together: int, out: Any) -> tuple[Any, ...]:
        """What the compiled code is told, from the weights on."""
        height, width = images.shape[1:3]
        line = (width + 2 * self.padding[1] - SIDE + 1) * len(self.bias)
        masks, spill = np.empty(together * height * width, np.int64), np.zeros(line + WIDEST, np.float32)
        return self.weights.data_ptr(), self.bias.numpy(), self.padding, masks, together, spill, out
