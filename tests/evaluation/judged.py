"""Small networks and what is right about them, worked out by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import respike

X = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))


def net(*behind: nn.Module, outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, outputs), *behind).eval()


def estimates(snn: respike.SpikingNetwork, x: Tensor = X) -> Tensor:
    return snn.simulate(x).double()


def share(found: Tensor, wanted: Tensor) -> list[float]:
    """Of each timestep, of ``found (N, T, ...)``, how often it is what is wanted."""
    return (found == wanted.unsqueeze(1)).double().flatten(2).mean(2).mean(0).tolist()


def r2(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean over outputs of 1 - sum of squared errors / sum of squares about the mean."""
    return float(np.mean(1 - ((found - wanted) ** 2).sum(0) / ((wanted - wanted.mean(0)) ** 2).sum(0)))
