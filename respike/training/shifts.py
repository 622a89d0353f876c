"""Images moved by a few pixels, so that few images give many inputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..convert import checks
from ..convert.errors import ConversionError


class Shifts:
    """Moves each image of a batch by up to so many pixels, in either direction and both axes, with zeros behind it.

    >>> moved = respike.training.Shifts(2)(torch.ones(5, 1, 8, 8))
    >>> moved.shape, bool(moved.sum() <= 5 * 64)
    (torch.Size([5, 1, 8, 8]), True)

    Args:
        pixels: 1 or more.

    Shape:
        ``(N, C, H, W)``, input and output. How far each goes is drawn from torch's random numbers.

    Raises:
        ConversionError: another number of pixels.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = checks.whole("pixels", pixels, 1, 2**16)

    def __call__(self, images: Tensor) -> Tensor:
        if images.dim() != 4:
            raise ConversionError(f"only images (N, C, H, W) can be moved; got the shape {tuple(images.shape)}")
        n, _, high, wide = images.shape
        far, of = self.pixels, images.device
        padded = F.pad(images, (far, far, far, far))
        down, right = (torch.randint(0, 2 * far + 1, (n, 1)).to(of) for _ in range(2))
        rows, columns = (start + torch.arange(size, device=of) for start, size in ((down, high), (right, wide)))
        each = torch.arange(n, device=of)[:, None, None]
        return padded.movedim(1, -1)[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)

    def __repr__(self) -> str:
        return f"Shifts({self.pixels})"
