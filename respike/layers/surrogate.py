"""Surrogate gradients: stand-ins for ds/dv, which is zero almost everywhere.

Each is called as ``fn(v_mem, spike_threshold)``. Names, defaults and formulas are those of Sinabs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def _gaussian(x: Tensor, mu: float, sigma: float) -> Tensor:
    return torch.exp(-((x - mu) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class Heaviside:
    """1/θ wherever v ≥ θ − ``window``."""

    window: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return (v_mem >= spike_threshold - self.window).to(v_mem.dtype) / spike_threshold


@dataclass(frozen=True)
class Gaussian:
    """The density of N(θ + ``mu``, ``sigma``²), times ``grad_scale``."""

    mu: float = 0.0
    sigma: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return _gaussian(v_mem - spike_threshold, self.mu, self.sigma) * self.grad_scale


@dataclass(frozen=True)
class MultiGaussian:
    """A Gaussian with two wide negative side lobes (Yin et al., Nature Machine Intelligence 2021).

    ``h`` is the weight and ``s`` the relative width of the side lobes.
    """

    mu: float = 0.0
    sigma: float = 0.5
    h: float = 0.15
    s: float = 6.0
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        x, wide = v_mem - spike_threshold, self.s * self.sigma
        centre = (1 + self.h) * _gaussian(x, self.mu, self.sigma)
        lobes = _gaussian(x, self.sigma, wide) + _gaussian(x, -self.sigma, wide)
        return (centre - self.h * lobes) * self.grad_scale


@dataclass(frozen=True)
class SingleExponential:
    """The density exp(−|v − θ|/wθ)/wθ (Shrestha and Orchard, SLAYER, NeurIPS 2018); ``grad_width`` is w."""

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        width = spike_threshold * self.grad_width
        return self.grad_scale / width * torch.exp(-torch.abs(v_mem - spike_threshold) / width)


@dataclass(frozen=True)
class PeriodicExponential:
    """Like ``SingleExponential`` below θ and repeated at every multiple above it (Weidel and Sheik 2021)."""

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        phase = v_mem / spike_threshold - 0.5
        phase = spike_threshold * (2 * (phase - torch.floor(phase)) - 1)
        distance = torch.where(v_mem < spike_threshold, v_mem - spike_threshold, phase)
        return self.grad_scale * torch.exp(-torch.abs(distance) / self.grad_width)
