"""Random compositions of axis operations, masks and static preprocessing; by hand ``compositions.py SEED COUNT``.

All numbers are multiples of 1/64 and small, thresholds are 1 and T is a power of two: every sum is exact in float32, in
any order and in pieces of any size, so that what is compared must be equal to the bit.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import respike
from respike.convert import normal_form
from respike.convert.graph import Graph
from respike.convert.graph.rules import Role
from respike.convert.options import NeuronOptions
from respike.convert.run.neurons import SpikingReLU, channel_axis

STEPS = 4

STATIC: dict[str, Callable[[Tensor], Tensor]] = {
    "nothing": lambda x: x,
    "square": lambda x: x.square(),
    "compared": lambda x: (x > 0.5).float() - 0.5,
    "masked": lambda x: x * (x.abs() < 0.75),
    "rounded": lambda x: x.sign() * (4 * x).floor() / 4,
    "less_the_largest": lambda x: x - x.amax(1, keepdim=True),
    "over_a_power_of_two": lambda x: x / torch.where(x.sum(1, keepdim=True) > 0, 2.0, 0.5),
    "whole": lambda x: (8 * x).to(torch.int32) / 8,
    "signed_by_the_batch_size": lambda x: x * (1 if x.shape[0] else 2),
}
MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "flip": lambda h: h.flip(1),
    "flip_last": lambda h: h.flip(-1),
    "flip_batch": lambda h: h.flip(0),
    "roll": lambda h: h.roll(1, 1),
    "roll_all": lambda h: h.roll(1),
    "cumsum": lambda h: h.cumsum(1),
    "cumsum_batch": lambda h: h.cumsum(0),
    "repeat": lambda h: h.repeat(1, 2, *[1] * (h.dim() - 2)),
    "interleave": lambda h: h.repeat_interleave(2, 1),
    "index": lambda h: h[:, torch.tensor([1, 0])],
    "shift": lambda h: torch.cat([h[1:], h[:1]]),
    "swap": lambda h: h.unsqueeze(1).transpose(1, -1),
    "batch_second": lambda h: h.transpose(0, 1),
    "merge": lambda h: h.flatten(0, 1) if h.dim() > 2 else h,
    "split": lambda h: torch.cat(h.split(1, 1)[::-1], 1),
    "stack": lambda h: torch.stack([h, 2 * h], 1),
    "with_zeros": lambda h: torch.cat([torch.zeros(h.shape[0], 1, *h.shape[2:]), h], 1),
    "squeeze": lambda h: h.unsqueeze(1).squeeze(),
    "select": lambda h: h.select(1, 0) if h.dim() > 2 else h,
    "less_the_first": lambda h: h - h[:1],
    "numbered": lambda h: h + torch.arange(h.shape[0]).reshape(-1, *[1] * (h.dim() - 1)) / 4,
    "times_the_batch_size": lambda h: h * h.shape[0] / 8,
    "expand": lambda h: h.unsqueeze(1).expand(-1, 3, *[-1] * (h.dim() - 1)),
    "flatten": lambda h: h.reshape(h.shape[0], -1),
    "narrow": lambda h: h.narrow(1, 0, max(1, h.shape[1] - 1)),
    "pad": lambda h: F.pad(h, (1, 0)),
    "sum_of_all": lambda h: h + h.sum() / 64,
    "triangle": lambda h: h.tril() if h.dim() > 2 else h,
    "largest": lambda h: h.amax(1, keepdim=True),
    "einsum": lambda h: torch.einsum("nab->bna", h) if h.dim() == 3 else h,
}


class Composition(nn.Module):
    """Preprocessing, weights, ReLU, moves, weights; the last axis is made 4 wide before each weight."""

    def __init__(self, static: str, before: list[str], behind: list[str]) -> None:
        super().__init__()
        self.static, self.before, self.behind = static, before, behind
        self.act: Callable[[Tensor], Tensor] = F.relu
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)
        for p in self.parameters():
            p.data = torch.randint(-4, 5, p.shape) / 4

    def forward(self, x: Tensor) -> Tensor:
        h = STATIC[self.static](x)
        for name in self.before:
            h = MOVES[name](h)
        h = self.act(self.a(_wide(h)))
        for name in self.behind:
            h = MOVES[name](h)
        return self.b(_wide(h))


def _wide(h: Tensor) -> Tensor:
    return F.pad(h, (0, max(0, 4 - h.shape[-1])))[..., :4]


def quantised(z: Tensor) -> Tensor:
    """ReLU in T + 1 values from 0 to 1, written without respike."""
    return torch.clamp(torch.floor(z * STEPS + 0.5), 0, STEPS) / STEPS


@dataclass(frozen=True)
class Found:
    """A composition that was held against the oracles, and whether its batches may be cut."""

    model: Composition
    apart: bool


def compositions(seed: int, count: int) -> list[Found]:
    """Convert random ones and hold each against the quantised ANN, and its pieces against the whole."""
    rng = random.Random(seed)
    found: list[Found] = []
    while len(found) < count:
        torch.manual_seed(rng.randrange(2**31))
        model = Composition(
            rng.choice(list(STATIC)),
            rng.choices(list(MOVES), k=rng.randint(0, 2)),
            rng.choices(list(MOVES), k=rng.randint(0, 2)),
        ).eval()
        x = torch.randint(-8, 9, (5, *rng.choice([(4,), (3, 4)]))) / 8
        graph = _graph(model, x)
        if graph is not None:
            found.append(Found(model, check(model, graph, x)))
    return found


def _graph(model: Composition, x: Tensor) -> Graph | None:
    """None for what torch itself cannot run, or for one batch size only."""
    try:
        with torch.no_grad():
            for n in (5, 6, 2):
                model(x[torch.arange(n) % 5])
        return normal_form(model, (x,))
    except (RuntimeError, IndexError):  # these axes are not there
        return None
    except respike.ConversionError as error:
        if "batch" in str(error):
            return None
        raise AssertionError(told(model)) from error


def told(model: Composition) -> str:
    """How it is made."""
    return f"{model.static}, {model.before}, ReLU, {model.behind}"


@torch.no_grad()
def check(model: Composition, graph: Graph, x: Tensor) -> bool:
    """Whether samples are proven to stay apart; raises where a number is wrong."""
    neurons = {
        n.name: SpikingReLU(n, NeuronOptions(), channel_axis(n, graph)) for n in graph.nodes if n.role == Role.SPIKE
    }
    snn = respike.SpikingNetwork(graph, neurons, STEPS, "layerwise")
    model.act = quantised
    assert torch.equal(snn(x), model(x)), told(model)
    model.act = F.relu
    for schedule in ("layerwise", "synchronous"):
        snn.schedule = schedule
        snn.memory_budget = None
        whole = snn(x)
        snn.memory_budget = 1
        assert len(snn.pieces([x], STEPS)[0]) == (len(x) if snn.plan.apart else 1), told(model)
        assert torch.equal(snn(x), whole), told(model)
    return snn.plan.apart


if __name__ == "__main__":
    print(sum(one.apart for one in compositions(int(sys.argv[1]), int(sys.argv[2]))), "may be cut, and all are right")
