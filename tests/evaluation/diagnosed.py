"""Networks to diagnose."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

import respike
from respike.convert.errors import ConversionWarning


def convert(model: nn.Module, x: Any, timesteps: int, **options: Any) -> respike.SpikingNetwork:
    with warnings.catch_warnings():  # so few samples that some layers never fire
        warnings.simplefilter("ignore", ConversionWarning)
        return respike.from_torch(model.eval(), x, timesteps, **options)


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    )
