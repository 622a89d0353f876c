"""Layers that remember sums over time: the sum or mean so far, and a function of these, sent as increments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..constants import whole
from ..spiking import stacked
from ..stateful import StatefulLayer


class RunningSum(StatefulLayer):
    """The sum over the steps so far.

    >>> RunningSum()(torch.tensor([[[1.0], [0.0], [2.0]]])).flatten()
    tensor([1., 1., 3.])

    Shape:
        Input ``(batch, time, ...)``; output the same. The sums go on from the last call until ``reset_states``.
    """

    total: Tensor

    def __init__(self) -> None:
        super().__init__(["total"])
        self._steps = 0

    @property
    def elapsed(self) -> int:
        """Steps so far."""
        return 0 if self._fresh else self._steps

    def forward(self, input_data: Tensor) -> Tensor:
        """The sums, for values of the same shape: one after the other, so that they do not depend on the blocks."""
        x, elapsed = self._prepare(input_data), self.elapsed
        sums = []
        for value in x.unbind(1):
            self.total = self.total + value
            sums.append(self.total)
        self._steps, self._fresh = elapsed + x.shape[1], False
        return stacked(sums, 1) if sums else x


class RunningMean(RunningSum):
    """The mean over the steps so far: what spikes decode to.

    >>> RunningMean()(torch.tensor([[[1.0], [0.0], [2.0]]])).flatten()
    tensor([1.0000, 0.5000, 1.0000])
    """

    def forward(self, input_data: Tensor) -> Tensor:
        """The means, for values of the same shape."""
        elapsed = self.elapsed
        sums = super().forward(input_data)
        return sums / _clock(elapsed, sums)


class OfSums(nn.Module):
    """A function of sums over time, sent as the increments of its value: how a maximum is taken over spikes.

    out_t = f(x_1 + ... + x_t) − f(x_1 + ... + x_{t−1}), so that the sum of the output is f of the sums. For a maximum,
    f(c·x) = c·f(x), so the mean of the output is f of the means: a maximum of each step's spikes would be too large.

    With ``of_means`` it is t·f(mean of the first t values) whose increments are sent, which does that for any f. Where
    f has no finite value, as the logarithm of 0, it counts as 0.

    >>> pool = OfSums(nn.MaxPool1d(2))
    >>> pool(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]]])).flatten()  # sums 1 and 0, 1 and 1, 1 and 2
    tensor([1., 0., 1.])

    Args:
        function: f, of one tensor ``(N, ...)`` for each input: a module or any function.
        inputs: How many it takes.
        of_means: Whether it is applied to means.

    Shape:
        Inputs ``(batch, time, ...)``; output ``(batch, time, ...)``, where ``...`` is what the function gives.

    Raises:
        ValueError: a number of inputs below 1.
    """

    def __init__(self, function: Callable[..., Tensor], inputs: int = 1, of_means: bool = False) -> None:
        super().__init__()
        self.function, self.of_means = function, of_means
        self.sums: Any = nn.ModuleList([RunningSum() for _ in range(whole("inputs", inputs, 1))])

    def forward(self, *inputs: Tensor) -> Tensor:
        """The increments."""
        pairs = list(zip(self.sums, inputs, strict=True))
        elapsed = pairs[0][0].elapsed
        before = self._value(elapsed - 1, [s.total[:, None] for s, _ in pairs]) if elapsed else None
        found = self._value(elapsed, [s(x) for s, x in pairs])
        before = torch.zeros_like(found[:, :1]) if before is None else before
        return found - torch.cat([before, found[:, :-1]], 1)

    def _value(self, elapsed: int, sums: list[Tensor]) -> Tensor:
        """F after each step, of sums ``(batch, time, ...)``, the first of which is over one step more than elapsed."""
        batch, steps = sums[0].shape[:2]
        taken = [s / _clock(elapsed, s) for s in sums] if self.of_means else sums
        found: Tensor = self.function(*(x.flatten(0, 1) for x in taken)).unflatten(0, (batch, steps))
        return (found * _clock(elapsed, found)).nan_to_num(0, 0, 0) if self.of_means else found

    def extra_repr(self) -> str:
        return "of_means=True" if self.of_means else ""


def _clock(elapsed: int, like: Tensor) -> Tensor:
    """How many steps each of the sums ``(batch, time, ...)`` is of."""
    steps = torch.arange(elapsed + 1, elapsed + 1 + like.shape[1], device=like.device)
    return steps.reshape(1, -1, *[1] * (like.dim() - 2))
