"""However attention divides its scores, it becomes the same network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert import normal_form, relative_error

Scores = Callable[[Tensor, Tensor], Tensor]
HALF = torch.tensor(0.5)
SPELLINGS: dict[str, Scores] = {
    "scores": lambda q, k: q @ k.mT / 4,
    "queries": lambda q, k: (q / 4) @ k.mT,
    "keys, moved": lambda q, k: q @ (0.25 * k).mT,
    "roots": lambda q, k: (q * HALF) @ (k.mT * HALF),
    "bmm": lambda q, k: torch.bmm(q * 0.25, k.mT),
    "behind a view": lambda q, k: (q / 4).unflatten(1, (1, -1)).squeeze(1) @ k.mT,
}
KEPT: dict[str, Scores] = {
    "read twice": lambda q, k: (q / 4) @ k.mT + (q / 4).sum(2, keepdim=True),
    "by channel": lambda q, k: (q * torch.linspace(0.1, 1, 8)) @ k.mT,
    "wider": lambda q, k: (q * torch.full((1, 5, 1), 0.5)) @ k.mT,
    "by 0": lambda q, k: ((q / torch.zeros(())) @ k.mT).nan_to_num(0, 0, 0) + q @ k.mT,
    "with itself": lambda q, k: (h := q / 2) @ h.mT + k.sum(),
}


class Attention(nn.Module):
    """One head behind a layer, which reads it out of ``(N, 5, 8)``."""

    def __init__(self, scores: Scores) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scores = scores
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.scores(self.q(x), self.k(x)).softmax(-1) @ self.v(x)
        found: Tensor = self.out(h).mean(1)
        return found


def converted(scores: Scores, x: Tensor) -> respike.SpikingNetwork:
    return respike.from_torch(Attention(scores), x, 8, neuron=respike.MultiThreshold(3))


@pytest.mark.parametrize("name", [name for name in SPELLINGS if name != "scores"])
def test_the_same_function_is_the_same_network(name: str) -> None:
    x = torch.randn(40, 5, 8, generator=torch.Generator().manual_seed(1))
    one, other = converted(SPELLINGS["scores"], x), converted(SPELLINGS[name], x)
    assert len(one.layers()) == len(other.layers())
    for mine, theirs in zip(one.layers().values(), other.layers().values(), strict=True):
        torch.testing.assert_close(mine.threshold.flatten(), theirs.threshold.flatten())
    torch.testing.assert_close(one.simulate(x), other.simulate(x))


@pytest.mark.parametrize("scores", [*SPELLINGS.values(), *KEPT.values()], ids=[*SPELLINGS, *KEPT])
def test_it_computes_what_it_did(scores: Scores) -> None:
    model, x = Attention(scores), torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(2))
    assert relative_error(normal_form(model, (x,)), model, (x,)) < 1e-5
