"""What is said of networks that do not convert is true, and what is advised works."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import respike

X = torch.rand(16, 3, 6, 6, generator=torch.Generator().manual_seed(0))


class LargerHalf(nn.Module):
    """LightCNN's activation."""

    def __init__(self, by_relu: bool = False) -> None:
        super().__init__()
        self.by_relu = by_relu

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        return b + F.relu(a - b) if self.by_relu else torch.max(a, b)


class Recurrent(nn.Module):
    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.cells = kind(36, 4, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.cells(x.flatten(2))[0]  # type: ignore[no-any-return]


def larger_half(by_relu: bool) -> nn.Module:
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 8, 3), LargerHalf(by_relu), nn.Conv2d(4, 8, 3), LargerHalf(by_relu)
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(16, 3))


def said_of(model: nn.Module) -> str:
    with pytest.raises(respike.ConversionError) as caught:
        respike.from_torch(model, X, 4)
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "where", "why"),
    [
        (larger_half(False), "1 (LargerHalf), 3 (LargerHalf)", "sends none itself"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Flatten()), "1 (MaxPool2d)", "sends none itself"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(108, 4), nn.Sigmoid()),
            "2 (Sigmoid)",
            "has no synapses behind it",
        ),
        (Recurrent(nn.LSTM), "cells (LSTM)", "lstm is recurrent"),
        (Recurrent(nn.GRU), "cells (GRU)", "gru is recurrent"),
        (Recurrent(nn.RNN, nonlinearity="relu"), "cells (RNN)", "rnn_relu is recurrent"),
        (
            nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), Recurrent(nn.LSTM), nn.ReLU(), nn.Linear(4, 2)),
            "2.cells (LSTM)",
            "lstm is recurrent",
        ),
    ],
)
def test_a_network_without_relu_is_told_what_it_has(model: nn.Module, where: str, why: str) -> None:
    said = said_of(model)
    assert where in said
    assert why in said
    assert "affine" not in said
    if "no smooth activation" in said:
        assert "analog" not in said  # with nothing left that spikes it would not convert either


class Gate(nn.Module):
    """A product of what is computed from the input alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.last = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.a(x.flatten(1)[:, :6]) * self.b(x.flatten(1)[:, :6]))
        return found


def test_a_product_without_neurons_is_not_called_affine() -> None:
    said = said_of(Gate())
    assert "mul has no neurons in front of it" in said and "affine" not in said


def test_an_affine_network_is_called_affine() -> None:
    assert "affine function of its input" in said_of(nn.Sequential(nn.Flatten(), nn.Linear(108, 4)))


def test_the_larger_half_by_relu_converts_as_advised() -> None:
    assert "b + F.relu(a - b)" in said_of(larger_half(False))
    wanted = larger_half(False).eval()
    snn = respike.from_torch(larger_half(True), X, 64)
    with torch.no_grad():
        assert float((snn(X) - wanted(X)).norm() / wanted(X).norm()) < 0.1


def test_places_are_not_called_products() -> None:
    class Unpooled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(F.max_unpool2d(*F.max_pool2d(F.relu(x), 2, return_indices=True), 2) - 0.5)

    assert "gives the places of its extreme values" in said_of(
        nn.Sequential(nn.Conv2d(3, 2, 1), Unpooled(), nn.Conv2d(2, 2, 1))
    )
