"""Random ReLU networks in which every sum is exact, so that no order of sums can hide or make a difference.

Weights, biases and inputs are small multiples of 1/8, pools divide by powers of two, batch norm scales by powers of
two, and so do the thresholds that ``exact`` sets. All values are then short binary fractions, which float32 adds up
without rounding, on any processor and in any order: what must be equal is compared bit for bit.

``RandomNet(seed)`` is an ordinary module. The same forward computes the oracles, as every ReLU and every synapse goes
through one method: see ``random_oracles.py``.
"""

from __future__ import annotations

import random
from typing import Any

import torch
import torch.nn.functional as F
from random_drawing import AVERAGES, SIDE, Drawing, Hook, Step
from torch import Tensor, nn


class RandomNet(Drawing):
    """A network drawn by ``seed``.

    Attributes:
        rank: Spatial axes, 0 to 3.
        shapes: Of its inputs, without the batch.
        steps: In order; step k reads values by number: the inputs come first, then the results of the steps.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.rank = self.random.choice([0, 1, 2, 2, 2, 3])
        self.parts = nn.ModuleList()
        self.steps: list[Step] = []
        # A mask, of ones and zeros, for each sample and place; the last input if there is one.
        self.masked = bool(self.rank) and self.random.random() < 0.2
        count = self.random.choice([1, 1, 1, 2])
        side = SIDE[self.rank] + self.random.choice([-1, 0, 0, 0, 1]) * (self.rank > 0)
        self.shapes = [(self.random.randint(2, 4), *[side] * self.rank) for _ in range(count)]
        if self.masked:
            self.shapes.append((1, *[side] * self.rank))
        self.hook: Hook | None = None  # in the place of a ReLU
        self.counting = False  # whether weights count as 1, for ``synapses_behind``
        self.synapses = torch.zeros(())
        self.eval()
        self._draw()
        del self.random, self.generator  # nothing of the making is left to trace
        self.__class__ = {1: RandomNet, 2: _OfTwo, 3: _OfThree}[len(self.shapes)]

    # What the steps are made of: all that the oracles compute otherwise.

    def relu(self, x: Tensor, spelling: int = 0) -> Tensor:
        if self.hook is not None:
            return self.hook(x)
        if spelling == 1:
            return x.clamp(min=0)
        if spelling == 2:
            return torch.where(x > 0, x, torch.zeros_like(x))
        if spelling == 3:
            return F.relu_(x + 0)
        return F.relu(x)

    def capped(self, x: Tensor, cap: float) -> Tensor:
        return self.hook(x) if self.hook is not None else F.hardtanh(x, 0, cap)

    def leaky(self, x: Tensor, slope: float | Tensor) -> Tensor:
        if self.counting:
            return self.relu(x) + self.relu(-x)
        if self.hook is not None:
            return self.relu(x) - self.relu(-x) * slope
        return F.prelu(x, slope) if isinstance(slope, Tensor) else F.leaky_relu(x, slope)

    def scaled(self, x: Tensor, factor: float) -> Tensor:
        return x if self.counting else x * factor

    def weigh(self, part: nn.Module, x: Tensor) -> Tensor:
        """Synapses: a layer with weights."""
        if not self.counting:
            return part(x)  # type: ignore[no-any-return]
        weights = {n: torch.ones_like(p) if n == "weight" else torch.zeros_like(p) for n, p in part.named_parameters()}
        currents = x.isinf()
        events = torch.func.functional_call(part, weights, (x.masked_fill(currents, 0),))
        self.synapses = self.synapses + events.sum()
        varies = torch.func.functional_call(part, weights, ((x > 0).to(x.dtype),)) > 0
        return torch.zeros_like(events).masked_fill(varies, torch.inf)

    def average(self, x: Tensor, **options: Any) -> Tensor:
        found = AVERAGES[self.rank](x, 2, **options)
        return found * 2**self.rank if self.counting else found

    def forward(self, x: Tensor) -> Any:
        return self.run(x)

    def run(self, *inputs: Tensor) -> Any:
        values: list[Any] = list(inputs)
        for step in self.steps:
            values.append(step.apply(self, *(values[k] for k in step.reads)))
        return values[-1]

    def _draw(self) -> None:
        self.values: list[Any] = [torch.zeros(2, *shape) for shape in self.shapes]
        self.unread = set(range(len(self.shapes) - self.masked))
        for _ in range(self.random.randint(2, 5)):
            self._grow()
        if not any("relu" in step.text or "prelu" in step.text for step in self.steps):
            self._synapses(self._pick())
        self._heads()
        assert all(step.reads for step in self.steps)
        del self.values, self.unread

    def __str__(self) -> str:
        return "\n".join(f"{k + len(self.shapes)}: {step.text}" for k, step in enumerate(self.steps))


class _OfTwo(RandomNet):
    def forward(self, x: Tensor, y: Tensor) -> Any:  # type: ignore[override]
        return self.run(x, y)


class _OfThree(RandomNet):
    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Any:  # type: ignore[override]
        return self.run(x, y, z)
