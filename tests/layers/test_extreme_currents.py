"""Currents that are huge, infinite or no number: compiled kernels give what the equations give, and finite spikes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from respike.layers import kernels
from respike.layers.kernels import Drive, Rule, Send

NUMBERS = [0.0, 0.3, -0.3, 7.5, -7.5, 1e30, -1e30, 1e38, -1e38, 3.4e38, float("inf"), -float("inf"), float("nan")]
RULES = {
    "single": Rule(),
    "burst": Rule(most=4),
    "signed": Rule(signed=True),
    "signed burst": Rule(most=3, signed=True),
    "graded": Rule(signed=True, levels=4),
    "leaky": Rule(alpha=0.9),
    "leaky burst": Rule(most=2, alpha=0.9),
}


def both(work: Any) -> list[Any]:
    found = []
    for backend in ("eager", None):
        kernels.use(backend)
        try:
            found.append(work())
        finally:
            kernels.use(None)
    return found


def same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())


def drawn(*shape: int) -> Tensor:
    torch.manual_seed(0)
    return torch.tensor(NUMBERS)[torch.randint(len(NUMBERS), shape)]


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("name", RULES)
def test_kernels_agree_and_spikes_are_finite(name: str, constant: bool) -> None:
    rule, theta = RULES[name], torch.tensor([0.5, 1.0, 1e-3, 4.0])
    values = drawn(1 if constant else 6, 300, 4)
    state = (theta / 2, torch.zeros(4)) if rule.counts else (theta / 2,)
    eager, compiled = both(lambda: kernels.scan(rule, Drive(values, 6), theta, state, Send()))
    assert same(eager[0], compiled[0])
    assert all(same(a, b) for a, b in zip(eager[1], compiled[1], strict=True))
    assert bool(eager[0].isfinite().all())


@pytest.mark.parametrize("geometry", [((2, 2), (2, 2), (0, 0), (1, 1)), ((3, 3), (1, 1), (1, 1), (1, 1))])
def test_pools_agree(geometry: Any) -> None:
    (kernel, stride, padding, _), values = geometry, drawn(5, 3, 2, 4, 4)

    def work() -> Tensor:
        pool = kernels.pooled_increments(values, lambda x: F.max_pool2d(x, kernel, stride, padding), None, geometry)
        return pool[0]

    assert same(*both(work))
