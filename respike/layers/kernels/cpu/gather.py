"""Convolutions of any kind, position by position: each output adds up the events around it.

The inputs of an image that are not 0, the events, are listed once, row by row. Each output position then adds up the
weights of the events around it, in the order in which they are listed: by kernel row, column, channel. That depends on
nothing else in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..memory import empty
from .gather_code import LOOKED_AT, WIDTHS
from .gather_loops import convolved, driven
from .whole_code import WIDTHS as WIDTHS_WHOLE

BLOCKS = sorted(WIDTHS, reverse=True)
BLOCK = BLOCKS[-1]
"""Outputs are padded to a multiple of this."""
TOGETHER = 256
"""Positions that a block of weights is used for, at least, before the next one takes its place in the cache."""


class GatheredSynapses:
    """A convolution of images.

    Args:
        weight: ``(F, C, kh, kw)`` for C channels in each group; float32, or whole numbers from −127 to 127, int8.
        bias: ``(F,)``.
        stride, padding, dilation: ``(vertical, horizontal)``.
        groups: Groups of channels.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        self.outputs, self.groups, self.sides = len(weight), groups, (weight.shape[2], weight.shape[3])
        self.stride, self.padding, self.dilation = stride, padding, dilation
        each = self.outputs // groups
        self.whole = weight.dtype == torch.int8 and each >= WIDTHS_WHOLE[-1]
        widths, weight = (WIDTHS_WHOLE, weight) if self.whole else (BLOCKS, weight.float())
        missing = -each % widths[-1]
        rows = pad(weight.unflatten(0, (groups, each)).permute(0, 3, 4, 2, 1), (0, missing))
        # Block by block, each with all its rows: a block is to stay in the cache.
        blocks = [block.flatten() for of_group in rows for block in _blocks(of_group, widths)]
        self.rows = torch.cat(blocks)
        self.bias = pad(bias.reshape(groups, each), (0, missing))

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs ``(M, h', w', F)`` of images ``(M, h, w, groups · C)``, contiguous, float32 or int8."""
        out = empty(len(images), *self.sides_of(images), self.outputs)
        if out.numel():
            convolved(
                images.data_ptr(),
                images.itemsize,
                tuple(images.shape),
                *self._rest(images, self._together(images, len(images)), out.view(-1).numpy()),
                tuple(out.shape),
            )
        return out

    def drive(self, images: Tensor, samples: int, neurons: tuple[Any, ...]) -> None:
        """Let neurons fire at the outputs of images ``(T · N, h, w, groups · C)``, see ``firing.fire``."""
        out_shape, together = (*self.sides_of(images), self.outputs), self._together(images, samples)
        driven(
            images.data_ptr(),
            images.itemsize,
            len(images) // samples,
            samples,
            tuple(images.shape[1:]),
            *self._rest(images, together, np.empty(together * prod(out_shape), np.float32)),
            out_shape,
            neurons,
        )

    def sides_of(self, images: Tensor) -> tuple[int, int]:
        """Height and width of the outputs of images ``(M, h, w, C)``."""
        geometry = zip(images.shape[1:3], self.padding, self.dilation, self.sides, self.stride, strict=True)
        height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in geometry)
        return height, width

    def _together(self, images: Tensor, samples: int) -> int:
        return min(samples, max(1, TOGETHER // (images.shape[1] * images.shape[2])))

    def _rest(self, images: Tensor, together: int, out: Any) -> tuple[Any, ...]:
        """What the compiled code is told, from the weights on."""
        _, height, width, channels = images.shape
        events = together * height * width * channels // self.groups
        return (
            True if self.whole else None,
            self.rows.data_ptr(),
            self.bias.data_ptr(),
            self.groups,
            self.bias.shape[1],
            self.sides,
            self.stride,
            self.padding,
            self.dilation,
            np.empty(events + LOOKED_AT, np.int32),  # as many are written at once
            np.empty(events, np.float32),
            np.empty(together * height * (width + 1), np.int32),
            together,
            np.empty(WIDTHS_WHOLE[0], np.float32),
            out,
        )


def _blocks(rows: Tensor, widths: Sequence[int]) -> Iterator[Tensor]:
    """The weights ``(kh, kw, C, F)`` of blocks of outputs, as large ones as there are."""
    first = 0
    while first < rows.shape[-1]:
        size = next(width for width in widths if rows.shape[-1] - first >= width)
        yield rows[..., first : first + size]
        first += size
