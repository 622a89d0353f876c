"""What the tests of saved networks save."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import respike


def small(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    """A network of its own for each caller, and the samples that it was calibrated on."""
    snn, x = _converted(**options)
    return copy.deepcopy(snn), x.clone()


@cache
def _converted(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.Softmax(1))
    x = torch.rand(30, 1, 6, 6)
    return respike.from_torch(model, x, **{"timesteps": 4, "correction": "bias", **options}), x
