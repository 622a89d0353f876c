"""Which parts of a network become populations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from respike.convert.populations.curves import Curve, curves
from respike.convert.tracing.copy_model import prepare
from respike.convert.tracing.normal_form import to_graph

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


class Between(nn.Module):
    """A function between two layers."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.first, self.last, self.function = nn.Linear(6, 5), nn.Linear(5, 3), function

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.function(self.first(x)))
        return found


def found(model: nn.Module, *analog: str) -> list[Curve]:
    return curves(to_graph(prepare(model.eval()), (X,)), analog)


SPELLED = {
    "gelu": F.gelu,
    "tanh approximation": lambda x: F.gelu(x, approximate="tanh"),
    "erf": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "swish": lambda x: x * torch.sigmoid(x),
    "hardswish": lambda x: x * F.relu6(x + 3) / 6,
    "softsign": lambda x: x / (1 + x.abs()),
    "mish": lambda x: x * torch.tanh(F.softplus(x)),
    "celu": lambda x: F.celu(x, alpha=2.0),
    "scaled": lambda x: 2 * torch.tanh(x) + 1,
    "twice": lambda x: F.silu(F.gelu(x)),
}


@pytest.mark.parametrize("name", SPELLED)
def test_a_function_in_any_spelling_is_one(name: str) -> None:
    model = Between(SPELLED[name])
    (curve,) = found(model)
    graph = to_graph(prepare(model.eval()), (X,))
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    y, wanted = curve(x, graph), SPELLED[name](x)
    assert curve.source == "linear"
    if name in ("hardswish", "scaled"):  # factors and summands behind the last bend stay outside
        assert float(((y - y.mean()) / y.std() - (wanted - wanted.mean()) / wanted.std()).abs().max()) < 1e-6
    else:
        torch.testing.assert_close(y, wanted, rtol=1e-6, atol=1e-6)


def test_powers_behind_neurons() -> None:
    names = ["square", "mul", "pow"]
    for name, function in zip(names, (torch.square, lambda x: x * x, lambda x: x**3), strict=True):
        layer = nn.Sequential(nn.ReLU(), nn.Linear(5, 5))
        (curve,) = found(Between(lambda x, f=function, m=layer: f(m(x))))
        assert name in curve.top.op


def test_what_stays_as_it_is() -> None:
    assert found(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.Sigmoid())) == []  # the head
    assert found(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.LeakyReLU(), nn.Linear(5, 3))) == []
    assert found(nn.Sequential(nn.GELU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))) == []  # of the input alone
    assert found(Between(lambda x: F.softmax(x, -1))) == []
    assert found(Between(lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5))) == []
    frontend = Between(lambda x: torch.log(torch.clamp(x, min=1e-5)))
    assert found(nn.Sequential(frontend, nn.ReLU(), nn.Linear(3, 2))) == []  # logarithms of energies, say


def test_a_gate_of_another_signal_is_a_function_of_its_own() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.c(torch.sigmoid(self.a(x)) * self.b(x))
            return y

    (curve,) = found(Gated())
    assert curve.top.op == "aten.sigmoid.default"


def test_what_the_user_keeps_analog_stays() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 5), nn.SiLU(), nn.Linear(5, 3))
    assert [curve.top.path for curve in found(model)] == ["1", "3"]
    assert [curve.top.path for curve in found(model, "1")] == ["3"]
