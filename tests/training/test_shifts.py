"""Images moved at random."""

from __future__ import annotations

import pytest
import torch

import respike
from respike.training import Shifts


def test_images_are_moved_by_whole_pixels() -> None:
    torch.manual_seed(0)
    images = torch.rand(50, 3, 9, 7)
    moved = Shifts(2)(images)
    wide = torch.nn.functional.pad(images, (2, 2, 2, 2))
    places = set()
    for one, around in zip(moved, wide, strict=True):
        found = [
            (dy, dx) for dy in range(5) for dx in range(5) if torch.equal(one, around[:, dy : dy + 9, dx : dx + 7])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 12
    with pytest.raises(respike.ConversionError, match="only images"):
        Shifts(1)(torch.rand(3, 4))
    with pytest.raises(respike.ConversionError, match="pixels must be"):
        Shifts(0)
