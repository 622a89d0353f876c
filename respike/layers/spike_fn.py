"""Spike functions: how many spikes a membrane potential gives, with a surrogate for the gradient.

As in Sinabs a spike function is called as ``spike_fn.apply(v_mem, spike_threshold, surrogate_grad_fn)``,
where ``SingleSpike``, ``StrictSpike`` and ``MultiSpike`` are passed as classes and ``MaxSpike(n)`` as an instance.
One that reads other states names them in ``required_states``; their values come first, in that order.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from . import equations
from .constants import whole

Surrogate = Callable[[Tensor, Tensor], Tensor]
Threshold = Tensor | float
READ = ("v_mem",)
"""The states that a spike function reads unless it names others."""


class SpikeFn(Protocol):
    """What a layer asks of a spike function: the states that it requires, then θ and the surrogate."""

    def apply(self, *args: Any, **kwargs: Any) -> Any: ...


class _Surrogate(torch.autograd.Function):
    """Backward pass of all spike functions: the incoming gradient times the surrogate at v_mem."""

    required_states: ClassVar[tuple[str, ...]] = READ

    @staticmethod
    def remember(ctx: Any, v_mem: Tensor, threshold: Threshold, surrogate: Surrogate) -> Tensor:
        """Keep what ``backward`` needs; returns θ as a tensor."""
        theta = threshold if isinstance(threshold, Tensor) else torch.tensor(threshold, dtype=v_mem.dtype)
        ctx.save_for_backward(v_mem, theta)
        ctx.surrogate = surrogate
        return theta

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        v_mem, threshold = ctx.saved_tensors
        return grads[0] * ctx.surrogate(v_mem, threshold), None, None, None


class SingleSpike(_Surrogate):
    """At most one spike a timestep: s = [v ≥ θ].

    >>> SingleSpike.apply(torch.tensor([0.5, 1.0, 2.5]), 1.0, SingleExponential())
    tensor([0., 1., 1.])
    """

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, spike_threshold: Threshold, surrogate_grad_fn: Surrogate) -> Tensor:
        return equations.single_spike(v_mem, _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn))


class StrictSpike(_Surrogate):
    """At most one spike a timestep, s = [v > θ], as in snnTorch; the gradient reaches the threshold too.

    >>> StrictSpike.apply(torch.tensor([0.5, 1.0, 2.5]), 1.0, ATan())
    tensor([0., 0., 1.])
    """

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, spike_threshold: Threshold, surrogate_grad_fn: Surrogate) -> Tensor:
        return equations.strict_spike(v_mem, _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = _Surrogate.backward(ctx, *grads)[0]
        return grad, -grad.sum_to_size(ctx.saved_tensors[1].shape) if ctx.needs_input_grad[1] else None, None


class MultiSpike(_Surrogate):
    """As many spikes a timestep as the potential holds thresholds: s = ⌊v/θ⌋.

    >>> MultiSpike.apply(torch.tensor([0.5, 1.0, 2.5]), 1.0, SingleExponential())
    tensor([0., 1., 2.])
    """

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, spike_threshold: Threshold, surrogate_grad_fn: Surrogate) -> Tensor:
        return equations.multi_spike(v_mem, _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn))


class _AtMost(_Surrogate):
    @staticmethod
    def forward(
        ctx: Any, v_mem: Tensor, spike_threshold: Threshold, surrogate_grad_fn: Surrogate, most: int | None
    ) -> Tensor:
        return equations.multi_spike(v_mem, _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn), most)


@dataclass(frozen=True)
class MaxSpike:
    """At most ``max_num_spikes_per_bin`` spikes a timestep: s = min(⌊v/θ⌋, n); None means no limit.

    >>> IAF(spike_fn=MaxSpike(2))(torch.tensor([[[3.5], [0.0]]])).flatten()  # the third spike waits a step
    tensor([2., 1.])

    Raises:
        ValueError: a number that is negative or not whole.
    """

    max_num_spikes_per_bin: int | None = None
    required_states: ClassVar[tuple[str, ...]] = READ

    def __post_init__(self) -> None:
        if self.max_num_spikes_per_bin is not None:
            whole("max_num_spikes_per_bin", self.max_num_spikes_per_bin, 0)

    def apply(self, v_mem: Tensor, spike_threshold: Threshold, surrogate_grad_fn: Surrogate, /) -> Any:
        return _AtMost.apply(v_mem, spike_threshold, surrogate_grad_fn, self.max_num_spikes_per_bin)


def check_surrogate(name: str, surrogate: Any) -> None:
    """Refuse what cannot be called as a surrogate gradient.

    Raises:
        TypeError: a class that must be instantiated first, or nothing that can be called.
    """
    if isinstance(surrogate, type):
        raise TypeError(f"{name} must be an instance, {surrogate.__name__}(), got the class")
    if not callable(surrogate):
        raise TypeError(f"{name} must be a surrogate, say ATan(), or a function of (v_mem, θ); got {surrogate!r}")


def states_read(spike_fn: Any, state_names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the states whose values a spike function is called with, of those that a layer has.

    Raises:
        TypeError: a class that must be instantiated first, or no spike function at all.
        ValueError: it reads a state that the layer does not have.
    """
    name = getattr(spike_fn, "__name__", repr(spike_fn))
    if not callable(getattr(spike_fn, "apply", None)):
        raise TypeError(f"spike_fn must be SingleSpike, MultiSpike or MaxSpike(n), or have their apply(); got {name}")
    if isinstance(spike_fn, type) and inspect.isfunction(inspect.getattr_static(spike_fn, "apply")):
        raise TypeError(f"spike_fn must be an instance of {name}, say {name}(); got the class")
    read = tuple(getattr(spike_fn, "required_states", READ))
    unknown = [state for state in read if state not in state_names]
    if unknown:
        raise InputError(f"spike_fn {name} reads the state {unknown[0]!r}; the layer has {', '.join(state_names)}")
    return read
