"""Values that vary in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..graph import Node

SENT = (torch.int8, torch.bfloat16)
"""Types in which spikes are sent; values of other types are what the network computes, truth values among them."""


@dataclass(frozen=True)
class Timed:
    """A value that varies in time, ``(T, N, ...)``: ``values`` · ``scale`` + ``offset``.

    Attributes:
        values: Of any type; spikes are whole numbers.
        scale: What one of them carries, broadcasting over ``(N, ...)``; None for 1.
        offset: Constant part, likewise; None for none.
    """

    values: Tensor
    scale: Tensor | None = None
    offset: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether ``values`` are the value itself."""
        return self.scale is None and self.offset is None and self.values.dtype not in SENT

    @property
    def real(self) -> Tensor:
        """The value itself; of spikes in float32."""
        x, scale = self.values, self.scale
        if x.dtype in SENT:
            x = x.to(torch.float32 if scale is None else scale.dtype)
            x = x if scale is None else x.mul_(scale)  # in place on this copy: another one takes as long again
        elif scale is not None:
            x = x * scale
        return x if self.offset is None else x + self.offset

    def like(self, values: Tensor) -> Timed:
        """Other values that mean the same."""
        return Timed(values, self.scale, self.offset)


@dataclass(frozen=True)
class DeferredCurrent:
    """What spikes cause behind synapses, where only neurons read it: their kernel may do both at once.

    Attributes:
        spikes: ``(T, N, ...)``.
        synapses: Make of spikes ``(M, ...)`` what is ``values`` of a ``Timed``.
        scale: See ``Timed``.
        offset: See ``Timed``.
    """

    spikes: Tensor
    synapses: Callable[[Tensor], Tensor]
    scale: Tensor | None = None
    offset: Tensor | None = None

    @property
    def now(self) -> Timed:
        """The current itself."""
        currents = self.synapses(self.spikes.flatten(0, 1)).unflatten(0, self.spikes.shape[:2])
        return Timed(currents, self.scale, self.offset)

    @property
    def real(self) -> Tensor:
        """The current as numbers."""
        return self.now.real


@dataclass(frozen=True)
class DeferredSum:
    """The sum of two values of one shape, which only neurons read: the sum is deferred to their kernel."""

    first: Timed | DeferredCurrent
    second: Timed

    @property
    def real(self) -> Tensor:
        """The sum itself."""
        return self.first.real + self.second.real


@dataclass(frozen=True)
class DeferredFiring:
    """The current of neurons whose spikes only a max-pool reads: firing is fused into the pooling kernel.

    Attributes:
        node: The neurons.
        current: What they get: a tensor if it is constant.
    """

    node: Node
    current: Tensor | Timed | DeferredSum


def now(value: Any) -> Any:
    """A current that is not deferred any more; other values as they are."""
    return value.now if isinstance(value, DeferredCurrent) else value


def real(value: Timed | DeferredSum) -> Timed:
    """The same with nothing left to do."""
    return value if isinstance(value, Timed) and value.plain else Timed(value.real)


def offsets(value: Timed | DeferredCurrent | DeferredSum) -> list[Tensor]:
    """The constant parts."""
    parts = [value.first, value.second] if isinstance(value, DeferredSum) else [value]
    return [x.offset for x in parts if x.offset is not None]


def channels_last(x: Tensor) -> Tensor:
    """Images and kernels laid out as processors like them best."""
    if x.dim() != 4:
        return x
    x = x.contiguous(memory_format=torch.channels_last)
    if x.shape[1] > 1:
        return x
    # One channel lies in memory alike either way, and torch takes it for channels first, also in what it makes of it.
    height, width = x.shape[2:]
    return x.as_strided(x.shape, (height * width, 1, width, 1))


def summed(x: Tensor, axis: int) -> Tensor:
    """``x.sum(axis)``, whose result lies in memory as ``x`` does: with another layout torch takes ten times as long."""
    strides = x.stride()
    order = sorted(range(x.dim()), key=lambda k: -strides[k])
    left = [k - (k > axis) for k in order if k != axis]
    return x.permute(order).sum(order.index(axis)).permute([left.index(k) for k in range(len(left))])


def column(clock: Tensor, like: Tensor) -> Tensor:
    """``(T,)`` laid out to broadcast over ``(T, N, ...)``."""
    return clock.reshape(-1, *[1] * (like.dim() - 1))


def first_result(result: Any) -> Any:
    """The values of an operation that gives values and indices."""
    return result[0] if isinstance(result, (list, tuple)) else result
