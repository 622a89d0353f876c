"""Networks, samples and oracles for the tests of closeness."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import respike
from respike.convert.closeness import Closeness


def net(*last: nn.Module, outputs: int = 3) -> nn.Sequential:
    """Of random weights, with decisions that differ from sample to sample."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, outputs))
    with torch.no_grad():
        model[-1].bias -= model(inputs(500)).mean(0)
    return model.extend(last)


def inputs(count: int) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(1)) * 3


@torch.no_grad()
def agreement_of(snn: nn.Module, model: nn.Module, x: Tensor) -> float:
    return float((snn(x).argmax(1) == model(x).argmax(1)).double().mean())


def error_of(found: Tensor, wanted: Tensor) -> float:
    """The root of 1 − R², the mean over outputs."""
    found, wanted = found.detach().double(), wanted.detach().double()
    return math.sqrt(float(((found - wanted).square().mean(0) / wanted.var(0, correction=0)).mean()))


def ours(snn: respike.SpikingNetwork) -> Closeness:
    assert snn.closeness is not None
    return snn.closeness
