"""Functions with a choice behind them that guards against overflow or NaN."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from test_smooth_activations import graph_of
from torch import Tensor

SOFTPLUS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is exported": lambda x: torch.where(x > 20, x, F.softplus(x)),
    "the other way round": lambda x: torch.where(x <= 20, F.softplus(x), x),
    "with the number first": lambda x: torch.where(torch.tensor(30.0) < x, x, F.softplus(x)),
    "steeper": lambda x: torch.where(2 * x > 20, x, F.softplus(2 * x) / 2),
    "flatter": lambda x: torch.where(x * 0.5 > 20, x, F.softplus(x * 0.5) / 0.5),
}
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "a jump where softplus is still curved": lambda x: torch.where(x > 3, x, F.softplus(x)),
    "another value above": lambda x: torch.where(x > 20, 2 * x, F.softplus(x)),
    "softplus of another signal": lambda x: torch.where(x > 20, x, F.softplus(x.flip(1))),
    "a choice by another signal": lambda x: torch.where(x.flip(1) > 20, x, F.softplus(x)),
    "softplus above, not below": lambda x: torch.where(x > 20, F.softplus(x), x),
    "a steeper one not divided": lambda x: torch.where(2 * x > 20, x, F.softplus(2 * x)),
}


def ops(function: Callable[[Tensor], Tensor], x: Tensor) -> set[str]:
    graph, error = graph_of(function, x)
    assert error < 1e-5
    return {n.op.split(".")[1] for n in graph.nodes}


@pytest.mark.parametrize("name", SOFTPLUS)
def test_softplus_stands_alone(name: str) -> None:
    torch.manual_seed(1)
    assert ops(SOFTPLUS[name], 80 * torch.randn(32, 4)) <= {"linear", "relu", "add", "sub", "softplus", "mul", "div"}


@pytest.mark.parametrize("name", OTHERS)
def test_other_choices_stay(name: str) -> None:
    torch.manual_seed(1)
    assert {"where", "softplus"} <= ops(OTHERS[name], 80 * torch.randn(32, 4))


def test_mish_of_a_guarded_softplus() -> None:
    torch.manual_seed(1)
    assert "mish" in ops(lambda x: x * torch.tanh(torch.where(x > 20, x, F.softplus(x))), torch.randn(32, 4))


def masked(x: Tensor) -> Tensor:
    """Scores of which the first row of four sees nothing."""
    return (x.unsqueeze(1) * torch.ones(4, 1)).masked_fill(~torch.ones(4, 4, dtype=torch.bool).tril(-1), -math.inf)


def test_softmax_of_rows_that_see_nothing() -> None:
    def guarded(x: Tensor) -> Tensor:
        shares = masked(x).softmax(-1)
        return torch.where(shares.isnan(), 0, shares)

    torch.manual_seed(1)
    found = ops(guarded, torch.randn(32, 4))
    assert "_safe_softmax" in found and found.isdisjoint({"where", "isnan", "softmax"})


def test_guards_of_other_functions_stay() -> None:
    def another_number(x: Tensor) -> Tensor:
        shares = masked(x).softmax(-1)
        return torch.where(shares.isnan(), 1, shares)

    torch.manual_seed(1)
    x = torch.randn(32, 4)
    assert {"isnan", "softmax"} <= ops(another_number, x)
    assert "isnan" in ops(lambda x: torch.where(x.log().isnan(), 0, x.log()), x)
