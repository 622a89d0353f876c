"""The script that plays: episodes by hand, and who is told when one ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from respike.models import policies

pytest.importorskip("gymnasium")


@pytest.fixture
def returns(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts" / "control"))
    sys.modules.pop("returns", None)
    import returns

    return returns


def test_two_episodes_in_two_environments_are_those_played_by_hand(returns: Any) -> None:
    import gymnasium

    def left(x: Tensor) -> Tensor:  # falls over within some steps
        return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)

    told: list[Tensor] = []
    played = returns.episodes("CartPole-v1", left, [3, 4], 2, told.append)
    wanted, steps = [], 0
    for seed in (3, 4):
        world, sums = gymnasium.make("CartPole-v1"), []
        for k in range(2):
            world.reset(seed=seed if k == 0 else None)
            total, over = 0.0, False
            while not over:
                _, reward, done, cut, _ = world.step(0)
                total, over, steps = total + float(reward), done or cut, steps + 1
            sums.append(total)
        wanted.append(sum(sums) / 2)
    assert played.returns.tolist() == wanted
    assert len(played.seen) == steps
    assert torch.stack(told).sum(0).tolist() == [2, 2]


def test_shipped_policies_do_their_task(returns: Any) -> None:
    policy = policies.load("CartPole-v1")
    assert returns.episodes("CartPole-v1", policy, range(3)).mean > 475  # what Gymnasium calls solved


def test_continuous_actions_stay_within_the_bounds(returns: Any) -> None:
    actions = returns.actions_of("Pendulum-v1", torch.tensor([[-3.0], [0.25], [9.0]]))
    assert [a.tolist() for a in actions] == [[-2.0], [0.5], [2.0]]
