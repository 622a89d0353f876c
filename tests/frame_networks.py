"""A small network that is calibrated on frames, as event cameras give them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import respike
from respike.convert import SpikingNetwork


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()


def small(steps: int = 6, **options: Any) -> tuple[nn.Module, SpikingNetwork, Tensor]:
    """Sparse frames of whole numbers, as event cameras give them."""
    model, frames = cnn(), torch.poisson(torch.full((64, steps, 2, 10, 10), 0.3))
    return model, respike.from_torch(model, respike.Frames(frames), steps, **options), frames
