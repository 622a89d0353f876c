"""A small network behind a function of its input, and images for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def images(count: int = 48) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A small network behind a function of its input."""

    def __init__(self, first: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = first
        self.n = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.n(self.first(x))


def standardised(x: Tensor) -> Tensor:
    return (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)
