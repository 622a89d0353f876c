"""Linear layers and convolutions of 1×1, event by event: a position adds up the weights of its own inputs, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..memory import empty
from .masks import CHANNELS, LOOKED_AT, mask_of
from .parts import compiled, part
from .points_code import WIDTHS, add_bytes, add_reals

TOGETHER = 256
"""Positions that a block of weights is used for, before the next one takes its place in the cache."""
reals_wide, bytes_wide = add_reals[WIDTHS[0]], add_bytes[WIDTHS[0]]
reals_narrow, bytes_narrow = add_reals[WIDTHS[1]], add_bytes[WIDTHS[1]]


@part
def _add(
    reals: Any, wide: Any, weights: Any, inputs: Any, masks: Any, words: Any, base: Any, to: Any, count: Any
) -> None:
    """``add`` for a block of outputs; only that for the kind of inputs is compiled."""
    if reals is None:
        if wide:
            bytes_wide(weights, inputs, masks, words, base, to, count)
        else:
            bytes_narrow(weights, inputs, masks, words, base, to, count)
    elif wide:
        reals_wide(weights, inputs, masks, words, base, to, count)
    else:
        reals_narrow(weights, inputs, masks, words, base, to, count)


def _width(outputs: Any) -> Any:
    """Of the next block: one that holds all that are left, or the widest; a narrow one takes as long."""
    width = WIDTHS[0]
    for narrower in WIDTHS:
        if narrower >= outputs:
            width = narrower
    return width


_width_compiled = part(_width)


@compiled
def _added(inputs: Any, reals: Any, positions: Any, depth: Any, weights: Any, bias: Any, masks: Any, out: Any) -> None:
    """All positions, some at a time; ``reals``: None for inputs of 8 bits."""
    size = 1 if reals is None else 4
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
                masks[at * words + word] = mask_of(first, reals, min(CHANNELS, depth - word * CHANNELS))
        f, block = 0, weights
        while f < outputs:
            width = _width_compiled(outputs - f)
            for at in range(many):
                to = out_at + 4 * ((start + at) * outputs + f)
                of_position = masks_at + 8 * at * words
                _add(
                    reals,
                    width == WIDTHS[0],
                    block,
                    here + at * step,
                    of_position,
                    words,
                    bias_at + 4 * f,
                    to,
                    outputs - f,
                )
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
        out = empty(*images.shape[:-1], self.outputs)
        positions = out.numel() // max(1, self.outputs)
        if positions:
            _added(
                images.data_ptr(),
                None if images.dtype == torch.int8 else True,
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
