"""Linear layers and convolutions of 1×1, event by event: a position adds up the weights of its own inputs, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .masks import CHANNELS, LOOKED_AT, mask_of
from .parts import compiled
from .points_code import WIDTHS, add_bytes, add_reals

TOGETHER = 256
"""Positions that a block of weights is used for, before the next one takes its place in the cache."""
reals_1, bytes_1 = add_reals[WIDTHS[0]], add_bytes[WIDTHS[0]]
reals_2, bytes_2 = add_reals[WIDTHS[1]], add_bytes[WIDTHS[1]]
reals_3, bytes_3 = add_reals[WIDTHS[2]], add_bytes[WIDTHS[2]]
reals_4, bytes_4 = add_reals[WIDTHS[-1]], add_bytes[WIDTHS[-1]]


@compiled
def _add(
    size: Any, width: Any, weights: Any, inputs: Any, masks: Any, words: Any, base: Any, to: Any, count: Any
) -> None:
    """``add`` for a block of outputs."""
    if size == 4:
        if width == WIDTHS[0]:
            reals_1(weights, inputs, masks, words, base, to, count)
        elif width == WIDTHS[1]:
            reals_2(weights, inputs, masks, words, base, to, count)
        elif width == WIDTHS[2]:
            reals_3(weights, inputs, masks, words, base, to, count)
        else:
            reals_4(weights, inputs, masks, words, base, to, count)
    elif width == WIDTHS[0]:
        bytes_1(weights, inputs, masks, words, base, to, count)
    elif width == WIDTHS[1]:
        bytes_2(weights, inputs, masks, words, base, to, count)
    elif width == WIDTHS[2]:
        bytes_3(weights, inputs, masks, words, base, to, count)
    else:
        bytes_4(weights, inputs, masks, words, base, to, count)


@compiled
def _width(outputs: Any) -> Any:
    """Of the next block: one that holds all that are left, or the widest; a narrow one takes as long."""
    width = WIDTHS[0]
    for narrower in WIDTHS:
        if narrower >= outputs:
            width = narrower
    return width


@compiled
def _added(inputs: Any, size: Any, positions: Any, depth: Any, weights: Any, bias: Any, masks: Any, out: Any) -> None:
    """All positions, some at a time."""
    outputs, words = out.shape[1], -(-depth // CHANNELS)
    out_at = np.int64(out.ctypes.data)
    masks_at, bias_at = np.int64(masks.ctypes.data), np.int64(bias.ctypes.data)
    step = np.int64(size * depth)
    for start in range(0, positions, TOGETHER):
        many = min(TOGETHER, positions - start)
        here = inputs + start * step
        for at in range(many):
            for word in range(words):
                first = here + at * step + size * word * CHANNELS
                masks[at * words + word] = mask_of(first, size, min(CHANNELS, depth - word * CHANNELS))
        f, block = 0, weights
        while f < outputs:
            width = _width(outputs - f)
            for at in range(many):
                to = out_at + 4 * ((start + at) * outputs + f)
                of_position = masks_at + 8 * at * words
                _add(size, width, block, here + at * step, of_position, words, bias_at + 4 * f, to, outputs - f)
            f += width
            block += 4 * width * depth


def fits(weight: Tensor, padding: tuple[int, int], groups: int) -> bool:
    """Whether such a convolution is one of these, at every position or some."""
    return groups == 1 and tuple(weight.shape[2:]) == (1, 1) and tuple(padding) == (0, 0)


class PointSynapses:
    """A linear layer, for each position of images.

    Args:
        weight: ``(F, C)``.
        bias: ``(F,)``.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.outputs = len(weight)
        widths = list(_widths(len(weight)))
        missing = sum(widths) - len(weight)
        self.bias = pad(bias, (0, missing)).contiguous()
        rows = pad(weight.float(), (0, -weight.shape[1] % LOOKED_AT, 0, missing)).T
        self.weights = torch.cat([block.flatten() for block in rows.split(widths, 1)])

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs ``(..., F)`` of inputs ``(..., C)``, contiguous, float32 or int8."""
        missing = -images.shape[-1] % LOOKED_AT
        images = pad(images, (0, missing)) if missing else images
        depth = images.shape[-1]
        out = torch.empty(*images.shape[:-1], self.outputs)
        positions = out.numel() // max(1, self.outputs)
        if positions:
            _added(
                images.data_ptr(),
                images.itemsize,
                positions,
                depth,
                self.weights.data_ptr(),
                self.bias.numpy(),
                np.empty(min(TOGETHER, positions) * -(-depth // CHANNELS), np.int64),
                out.view(positions, -1).numpy(),
            )
        return out


def _widths(outputs: int) -> Iterator[int]:
    """Of all blocks."""
    while outputs > 0:
        yield (width := _width(outputs))
        outputs -= width
