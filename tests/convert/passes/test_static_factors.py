"""A factor computed from an input with clamps, as a mask that divides, is static, though the other is a signal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from samples import one_in
from torch import Tensor, nn

import respike

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
SIZES = 12 * torch.rand(32, 1, generator=torch.Generator().manual_seed(1)) + 0.2
MASK = torch.rand(32, 7, generator=torch.Generator().manual_seed(2)) > 0.8


class Net(nn.Module):
    """A layer whose output is joined with a function of the second input."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor] = torch.mul) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.l, self.o, self.join = nn.Linear(6, 5), nn.Linear(5, 3), join

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        return self.o(self.join(self.l(x).relu(), m))


def _count(m: Tensor) -> Tensor:
    return 1 / m.sum(1, keepdim=True).clamp(min=1)


# How the second input is used, and the factor that it amounts to.
FACTORS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor], Tensor]] = {
    "divided": (lambda h, m: h / m.clamp(min=1), lambda m: 1 / m.clamp(min=1), SIZES),
    "multiplied": (lambda h, m: h * m.clamp(min=1), lambda m: m.clamp(min=1), SIZES),
    "relu": (lambda h, m: h / m.relu(), lambda m: 1 / m, SIZES),
    "from both sides": (lambda h, m: h / m.clamp(1, 9), lambda m: 1 / m.clamp(1, 9), SIZES),
    "maximum": (lambda h, m: h * torch.maximum(m, torch.ones_like(m)), lambda m: m.clamp(min=1), SIZES),
    "two guards": (
        lambda h, m: h * torch.minimum(torch.maximum(m, torch.ones(())), torch.full((), 9.0)),
        lambda m: m.clamp(1, 9),
        SIZES,
    ),
    "where": (lambda h, m: h / torch.where(m < 1, 1.0, m), lambda m: 1 / m.clamp(min=1), SIZES),
    "reciprocal": (lambda h, m: h * m.clamp(min=1).reciprocal(), lambda m: 1 / m.clamp(min=1), SIZES),
    "size": (lambda h, m: h * (m - 5).abs(), lambda m: (m - 5).abs(), SIZES),
    "truth values": (lambda h, m: h / m.sum(1, keepdim=True).clamp(min=1), _count, MASK),
    "truth values, cast": (lambda h, m: h / m.float().sum(1, keepdim=True).clamp(min=1), _count, MASK),
}


@pytest.mark.parametrize("name", one_in(3, FACTORS))
def test_a_clamped_factor_is_the_factor_given_as_an_input(name: str) -> None:
    join, factor, second = FACTORS[name]
    given = factor(second).float()
    snn = respike.from_torch(Net(join), [(X, second)], 6, schedule="layerwise")
    wanted = respike.from_torch(Net(), [(X, given)], 6, schedule="layerwise")
    assert len(snn.neurons) == 1
    torch.testing.assert_close(snn(X, second), wanted(X, given), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gate", one_in(3, [nn.Hardsigmoid(), nn.ReLU(), nn.Hardtanh(0.1, 1.0)]))
def test_a_gate_with_weights_is_no_guard(gate: nn.Module) -> None:
    weight = torch.randn(5, 1, generator=torch.Generator().manual_seed(0))
    with pytest.raises(respike.ConversionError, match="multiplies two signals"):
        respike.from_torch(Net(lambda h, m: h * gate(nn.functional.linear(m, weight))), [(X, SIZES)], 6)
