"""Reset functions: what a spike does to the membrane potential it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, overload

from torch import Tensor

from . import equations

ResetFn = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(v_mem, spikes, spike_threshold) -> v_mem"""


class _Reset:
    """Called as layers do, with ``(v_mem, spikes, spike_threshold)``, to give the potential after the reset.

    Called as Sinabs does, with ``(spikes, state, spike_threshold)``, it gives a new state with that ``"v_mem"``.
    """

    def after(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor | float) -> Tensor:
        """The potential after the reset."""
        raise NotImplementedError

    @overload
    def __call__(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor | float, /) -> Tensor: ...

    @overload
    def __call__(
        self, spikes: Tensor, state: Mapping[str, Tensor], spike_threshold: Tensor | float, /
    ) -> dict[str, Tensor]: ...

    def __call__(self, first: Tensor, second: Any, spike_threshold: Tensor | float, /) -> Any:
        if isinstance(second, Mapping):
            return {**second, "v_mem": self.after(second["v_mem"], first, spike_threshold)}
        return self.after(first, second, spike_threshold)


@dataclass(frozen=True)
class MembraneSubtract(_Reset):
    """Soft reset: each spike takes ``subtract_value``, by default the threshold, from the potential.

    >>> v_mem, spikes = torch.tensor([1.25, 0.5]), torch.tensor([1.0, 0.0])
    >>> MembraneSubtract()(v_mem, spikes, 1.0)
    tensor([0.2500, 0.5000])
    """

    subtract_value: float | Tensor | None = None

    def after(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor | float) -> Tensor:
        amount = spike_threshold if self.subtract_value is None else self.subtract_value
        return equations.subtract_reset(v_mem, spikes, amount)


@dataclass(frozen=True)
class MembraneReset(_Reset):
    """Hard reset: a neuron that fired starts again at ``reset_value``, whatever it had above θ is lost.

    Silent neurons keep their potential (Sinabs 3.1 adds ``reset_value`` to theirs too).

    >>> v_mem, spikes = torch.tensor([1.25, 0.5]), torch.tensor([1.0, 0.0])
    >>> MembraneReset(reset_value=-0.5)(v_mem, spikes, 1.0)
    tensor([-0.5000,  0.5000])
    """

    reset_value: float | Tensor = 0.0

    def after(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor | float) -> Tensor:
        return equations.constant_reset(v_mem, spikes, self.reset_value)


@dataclass(frozen=True)
class NoReset(_Reset):
    """No reset: a spike leaves the potential alone, so the neuron fires for as long as it is above θ.

    >>> IAF(spike_fn=SingleSpike, reset_fn=NoReset())(torch.full((1, 5, 1), 0.5)).flatten()
    tensor([0., 1., 1., 1., 1.])
    """

    def after(self, v_mem: Tensor, spikes: Tensor, spike_threshold: Tensor | float) -> Tensor:
        return v_mem


def check_reset_fn(reset_fn: Any) -> None:
    """Refuse what cannot be called as a reset function.

    Raises:
        TypeError: a class that must be instantiated first, or nothing that can be called.
    """
    if isinstance(reset_fn, type):
        raise TypeError(f"reset_fn must be an instance, {reset_fn.__name__}(), got the class")
    if not callable(reset_fn):
        raise TypeError(
            "reset_fn must be MembraneSubtract(), MembraneReset() or NoReset(), or a function of "
            f"(v_mem, spikes, spike_threshold); got {reset_fn!r}"
        )
