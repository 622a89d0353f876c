"""Spike functions: how many spikes a membrane potential gives, with a surrogate for the gradient.

As in Sinabs a spike function is called as ``spike_fn.apply(v_mem, spike_threshold, surrogate_grad_fn)``,
where ``SingleSpike``, ``StrictSpike`` and ``MultiSpike`` are passed as classes and ``MaxSpike(n)`` as an instance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from . import equations

Surrogate = Callable[[Tensor, Tensor], Tensor]


class SpikeFn(Protocol):
    """What a layer asks of a spike function."""

    def apply(self, v_mem: Tensor, spike_threshold: Tensor, surrogate_grad_fn: Surrogate, /) -> Any: ...


class _Surrogate(torch.autograd.Function):
    """Backward pass of all spike functions: the incoming gradient times the surrogate at v_mem."""

    @staticmethod
    def remember(ctx: Any, v_mem: Tensor, threshold: Tensor, surrogate: Surrogate) -> None:
        ctx.save_for_backward(v_mem, threshold)
        ctx.surrogate = surrogate

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        v_mem, threshold = ctx.saved_tensors
        return grads[0] * ctx.surrogate(v_mem, threshold), None, None, None


class SingleSpike(_Surrogate):
    """At most one spike a timestep: s = [v ≥ θ]."""

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, spike_threshold: Tensor, surrogate_grad_fn: Surrogate) -> Tensor:
        _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn)
        return equations.single_spike(v_mem, spike_threshold)


class StrictSpike(_Surrogate):
    """At most one spike a timestep, s = [v > θ], as in snnTorch; the gradient reaches the threshold too."""

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, spike_threshold: Tensor, surrogate_grad_fn: Surrogate) -> Tensor:
        _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn)
        return equations.strict_spike(v_mem, spike_threshold)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = _Surrogate.backward(ctx, *grads)[0]
        return grad, -grad.sum_to_size(ctx.saved_tensors[1].shape), None


class MultiSpike(_Surrogate):
    """As many spikes a timestep as the potential holds thresholds: s = ⌊v/θ⌋."""

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, spike_threshold: Tensor, surrogate_grad_fn: Surrogate) -> Tensor:
        _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn)
        return equations.multi_spike(v_mem, spike_threshold)


class _AtMost(_Surrogate):
    @staticmethod
    def forward(
        ctx: Any, v_mem: Tensor, spike_threshold: Tensor, surrogate_grad_fn: Surrogate, most: int | None
    ) -> Tensor:
        _Surrogate.remember(ctx, v_mem, spike_threshold, surrogate_grad_fn)
        return equations.multi_spike(v_mem, spike_threshold, most)


@dataclass(frozen=True)
class MaxSpike:
    """At most ``max_num_spikes_per_bin`` spikes a timestep: s = min(⌊v/θ⌋, n); None means no limit."""

    max_num_spikes_per_bin: int | None = None

    def apply(self, v_mem: Tensor, spike_threshold: Tensor, surrogate_grad_fn: Surrogate, /) -> Any:
        return _AtMost.apply(v_mem, spike_threshold, surrogate_grad_fn, self.max_num_spikes_per_bin)
