"""Surrogate gradients: stand-ins for ds/dv, which is zero almost everywhere.

Each is called as ``fn(v_mem, spike_threshold)``. Names, defaults and formulas are those of Sinabs, from
``ATan`` on those of snnTorch, whose functions take v − θ; any of them serves in any layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError


def _gaussian(x: Tensor, mu: float, sigma: float) -> Tensor:
    return torch.exp(-((x - mu) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


def _check_width(name: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{name} must be positive, got {value}")


@dataclass(frozen=True)
class Heaviside:
    """1/θ wherever v ≥ θ − ``window``.

    >>> Heaviside(window=0.5)(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0., 1., 1.])
    """

    window: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return (v_mem >= spike_threshold - self.window).to(v_mem.dtype) / spike_threshold


@dataclass(frozen=True)
class Gaussian:
    """The density of N(θ + ``mu``, ``sigma``²), times ``grad_scale``.

    >>> Gaussian()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.1080, 0.7979, 0.4839])
    """

    mu: float = 0.0
    sigma: float = 0.5
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_width("sigma", self.sigma)

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return _gaussian(v_mem - spike_threshold, self.mu, self.sigma) * self.grad_scale


@dataclass(frozen=True)
class MultiGaussian:
    """A Gaussian with two wide negative side lobes (Yin et al., Nature Machine Intelligence 2021).

    ``h`` is the weight and ``s`` the relative width of the side lobes.

    >>> MultiGaussian()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.0869, 0.8782, 0.5177])
    """

    mu: float = 0.0
    sigma: float = 0.5
    h: float = 0.15
    s: float = 6.0
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_width("sigma", self.sigma)
        _check_width("s", self.s)

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        x, wide = v_mem - spike_threshold, self.s * self.sigma
        centre = (1 + self.h) * _gaussian(x, self.mu, self.sigma)
        lobes = _gaussian(x, self.sigma, wide) + _gaussian(x, -self.sigma, wide)
        return (centre - self.h * lobes) * self.grad_scale


@dataclass(frozen=True)
class SingleExponential:
    """The density ``exp(−|v − θ|/wθ)/wθ`` (Shrestha and Orchard, SLAYER, NeurIPS 2018); ``grad_width`` is w.

    >>> SingleExponential()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.2707, 2.0000, 0.7358])
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_width("grad_width", self.grad_width)

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        width = spike_threshold * self.grad_width
        return self.grad_scale / width * torch.exp(-torch.abs(v_mem - spike_threshold) / width)


@dataclass(frozen=True)
class PeriodicExponential:
    """Like ``SingleExponential`` below θ and repeated at every multiple above it (Weidel and Sheik 2021).

    >>> PeriodicExponential()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.1353, 1.0000, 0.1353])
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_width("grad_width", self.grad_width)

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        phase = v_mem / spike_threshold - 0.5
        phase = spike_threshold * (2 * (phase - torch.floor(phase)) - 1)
        distance = torch.where(v_mem < spike_threshold, v_mem - spike_threshold, phase)
        return self.grad_scale * torch.exp(-torch.abs(distance) / self.grad_width)


@dataclass(frozen=True)
class ATan:
    """a/2 / (1 + (π/2·a·(v − θ))²), the slope of an arctangent (Fang et al., ICCV 2021); ``alpha`` is a.

    >>> ATan()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.0920, 1.0000, 0.2884])
    """

    alpha: float = 2.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return self.alpha / 2 / (1 + (math.pi / 2 * self.alpha * (v_mem - spike_threshold)) ** 2)


@dataclass(frozen=True)
class FastSigmoid:
    """``1 / (1 + k·|v − θ|)²`` (Zenke and Ganguli, SuperSpike, 2018); ``slope`` is k.

    >>> FastSigmoid(slope=5)(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.0278, 1.0000, 0.0816])
    """

    slope: float = 25.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return 1 / (1 + self.slope * torch.abs(v_mem - spike_threshold)) ** 2


@dataclass(frozen=True)
class SparseFastSigmoid:
    """``FastSigmoid`` where v − θ > ``B``, else 0 (snnTorch's ``SFS``; Perez-Nieves and Goodman 2021).

    >>> SparseFastSigmoid(slope=5, B=0.25)(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.0000, 0.0000, 0.0816])
    """

    slope: float = 25.0
    B: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return FastSigmoid(self.slope)(v_mem, spike_threshold) * (v_mem - spike_threshold > self.B)


@dataclass(frozen=True)
class Sigmoid:
    """The slope of the logistic function, k·σ(k(v − θ))·(1 − σ(k(v − θ))); ``slope`` is k.

    Far below θ, where the exponential of snnTorch 1.0 overflows to a NaN, this one goes to 0.

    >>> Sigmoid(slope=5)(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.0332, 1.2500, 0.3505])
    """

    slope: float = 25.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        x = self.slope * (v_mem - spike_threshold)
        return self.slope * torch.sigmoid(x) * torch.sigmoid(-x)  # 1 − σ(x) would round to 0 too soon


@dataclass(frozen=True)
class Triangular:
    """``max(0, w − |v − θ|)``, a triangle around θ (Esser et al., PNAS 2016); ``threshold`` is its height w.

    snnTorch 1.0 gives +w below θ and −w from θ on: the sign of a neuron's gradient turned where it fires.

    >>> Triangular()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.0000, 1.0000, 0.5000])
    """

    threshold: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return torch.relu(self.threshold - torch.abs(v_mem - spike_threshold))


@dataclass(frozen=True)
class StraightThroughEstimator:
    """1 everywhere: the spike passes the gradient on as it is.

    >>> StraightThroughEstimator()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([1., 1., 1.])
    """

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return torch.ones_like(v_mem)


@dataclass(frozen=True)
class SpikeRateEscape:
    """``k·exp(−b·|v − θ|)``, a Boltzmann-like escape rate (Gerstner and Kistler 2002); ``beta`` is b, ``slope`` k.

    In snnTorch 1.0 the peak stands at θ + 1, as it shifts by the threshold twice.

    >>> SpikeRateEscape()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([ 9.1970, 25.0000, 15.1633])
    """

    beta: float = 1.0
    slope: float = 25.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        return self.slope * torch.exp(-self.beta * torch.abs(v_mem - spike_threshold))


@dataclass(frozen=True)
class LeakySpikeOperator:
    """1 where v > θ, else ``slope``; with a slope of 0 the surrogate of snnTorch 0.2.

    snnTorch's ``LSO``, which in version 1.0 gives random numbers instead.

    >>> LeakySpikeOperator()(torch.tensor([0.0, 1.0, 1.5]), torch.tensor(1.0))
    tensor([0.1000, 0.1000, 1.0000])
    """

    slope: float = 0.1

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        fired = (v_mem > spike_threshold).to(v_mem.dtype)
        return fired + self.slope * (1 - fired)
