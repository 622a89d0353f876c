"""A synchronous run that goes on from call to call, step by step, and may forget what is long ago."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..graph_walk import Value
from ..neurons import SpikingReLU
from ..time_varying import Timed
from .synchronous import Synchronous


class Streaming(Synchronous):
    """``Synchronous`` with another estimate than the mean of all steps; one step at a time.

    Args:
        neurons: By node name.
        window: The estimate is the mean of so many last steps; None: of all.
        forgetting: λ: the estimate is Σ λ^(t − s)·x_s / Σ λ^(t − s) over all steps s up to t, so that a step counts λ
            times as much as the one behind it; None: 1.
    """

    def __init__(
        self, neurons: Mapping[str, SpikingReLU], window: int | None = None, forgetting: float | None = None
    ) -> None:
        super().__init__(neurons)
        self.window, self.forgetting = window, forgetting

    def decode(self, name: str, x: Value) -> Value:
        """The estimate after this step."""
        if self.window is None and self.forgetting is None:
            return super().decode(name, x)
        key, value = f"{name}:decoded", x.values[0]
        value = value if value.dtype.itemsize >= 4 else value.float()
        clock = self._clock(x.values).clamp(min=1)
        if self.window is not None:
            total, weight = self._of_window(key, value), clock.clamp(max=self.window)
        else:
            assert self.forgetting is not None
            before = self.state.get(key)
            total = value.clone() if before is None else self.forgetting * before + value  # it may be the caller's
            self.state[key] = total
            weight = ((1 - self.forgetting ** clock.double()) / (1 - self.forgetting)).to(total.dtype)
        return Timed(x.like(total.unsqueeze(0) / weight).real)

    def _of_window(self, key: str, value: Tensor) -> Tensor:
        """The sum of the last steps: of 0 where a sample has had fewer, so that the order of the sum is the same."""
        assert self.window is not None
        before = self.state.get(key)
        if before is None:
            before = value.new_zeros(len(value), self.window, *value.shape[1:])
        last = torch.cat([before[:, 1:], value.unsqueeze(1)], 1)
        self.state[key] = last
        return last.sum(1)
