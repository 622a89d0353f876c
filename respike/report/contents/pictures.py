"""Inputs as small pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

from torch import Tensor

LARGEST = 96
"""Most pixels a side."""


def picture(x: Any) -> str | None:
    """A sample's input as a PNG in a data URI; None if it is no image.

    Values from 0 to 1 are shown as they are; other ranges, as of normalised images, are stretched to it. Images
    above 96 pixels a side are made smaller.

    Args:
        x: One input without the batch, ``(1, H, W)`` or ``(3, H, W)``.
    """
    if not isinstance(x, Tensor) or x.dim() != 3 or x.shape[0] not in (1, 3) or min(x.shape) < 1:
        return None
    if min(x.shape[1:]) < 4:  # a sequence that happens to have three axes
        return None
    from PIL import Image

    x = x.detach().double().cpu()
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        x = (x - low) / max(high - low, 1e-12)
    grid = (255 * x).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid)
    image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
