"""Reset functions: what a spike does to the membrane potential it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from . import equations

ResetFn = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(v_mem, spikes, spike_threshold) -> v_mem"""


@dataclass(frozen=True)
class MembraneSubtract:
    """Soft reset: each spike takes ``subtract_value``, by default the threshold, from the potential."""

    subtract_value: float | None = None

    def __call__(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor) -> Tensor:
        amount = spike_threshold if self.subtract_value is None else self.subtract_value
        return equations.subtract_reset(v_mem, spikes, amount)


@dataclass(frozen=True)
class MembraneReset:
    """Hard reset: a neuron that fired starts again at ``reset_value``, whatever it had above θ is lost.

    Silent neurons keep their potential (Sinabs 3.1 adds ``reset_value`` to theirs too).
    """

    reset_value: float = 0.0

    def __call__(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor) -> Tensor:
        return equations.constant_reset(v_mem, spikes, self.reset_value)


@dataclass(frozen=True)
class NoReset:
    """No reset: a spike leaves the potential alone, so the neuron fires for as long as it is above θ."""

    def __call__(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor) -> Tensor:
        return v_mem
