"""Neurons of every kind, with parameters of their own for each channel, and currents for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from respike.layers import RateNeuron

KINDS: dict[str, dict[str, Any]] = {
    "binary": {},
    "bursts": {"max_spikes": 3},
    "signed": {"signed": True},
    "signed bursts": {"signed": True, "max_spikes": 4},
    "multi-threshold": {"signed": True, "levels": 3},
    "lif": {"tau_mem": 7.0},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def made(kind: str) -> RateNeuron:
    generator = torch.Generator().manual_seed(3)
    theta = 0.5 + torch.rand(4, 1, generator=generator)
    bias = 0.1 * torch.randn(4, 1, generator=generator)
    return RateNeuron(theta, bias, 0.25 + 0.5 * torch.rand(4, 1, generator=generator), **KINDS[kind])


def currents(steps: int = 12) -> Tensor:
    return 0.8 * torch.randn(3, steps, 4, 5, generator=torch.Generator().manual_seed(4)) + 0.3
