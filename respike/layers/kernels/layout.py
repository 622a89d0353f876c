"""The order in which a layer's neurons lie in memory: kernels see one row of them, whatever the axes are."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .memory import empty

_ROWS: WeakIdKeyDictionary = WeakIdKeyDictionary()
"""By the tensor that it is of: a row, and in which order it is."""


class Layout:
    """The order in which ``(T, N, ...)`` lies in memory.

    Channels-last and channels-first are one case: neurons are numbered as they lie, and what belongs to a channel
    is laid out once for the neurons of a sample. Memory that is not dense is taken as if in the order of its axes.

    Attributes:
        shape: ``(N, ...)``.
        neurons: How many a sample has.
    """

    def __init__(self, values: Tensor) -> None:
        axes = list(range(2, values.dim()))
        strides = values.stride()
        self.order = sorted(axes, key=lambda i: (-strides[i], i))
        if not self._sorted(values).is_contiguous():
            self.order = axes
        self.shape = values.shape[1:]
        self.neurons = prod(self.shape[1:])
        self.device = values.device
        self._named = (self.shape[0], *(values.shape[i] for i in self.order))
        self._back = [0, 1, *(2 + self.order.index(i) for i in axes)]

    def _sorted(self, values: Tensor) -> Tensor:
        return values.permute(0, 1, *self.order)

    def flat(self, values: Tensor) -> Tensor:
        """``(T, N, neurons)``; copied only if it lies otherwise."""
        return self._sorted(values).contiguous().reshape(len(values), self.shape[0], self.neurons)

    def row(self, value: Tensor | float) -> Tensor:
        """What broadcasts over ``(N, ...)`` and is the same for all samples, ``(neurons,)``, in float32.

        Not to be written to: the last one of a tensor is kept for as long as the tensor is.
        """
        if not isinstance(value, Tensor):
            # Filled there: a copy from here would wait for the device.
            return torch.full((self.neurons,), value, device=self.device)
        if value.is_inference():  # nothing tells whether it has changed
            return self.laid_out(value)
        key = (value._version, self.device, tuple(self.order), tuple(self.shape[1:]))
        kept: tuple[object, Tensor] | None = _ROWS.get(value)
        if kept is None or kept[0] != key:
            kept = _ROWS[value] = key, self.laid_out(value)
        return kept[1]

    def laid_out(self, value: Tensor) -> Tensor:
        """``row`` of a tensor, made anew: what is learned may change without a new version, as by Adam(fused=True)."""
        spread = value.detach().to(self.device, torch.float32).expand(1, *self.shape[1:])
        return self._sorted(spread[None]).clone(memory_format=torch.contiguous_format).reshape(-1)

    def state(self, value: Tensor) -> Tensor:
        """A copy of a state in this order, ``(N, neurons)``, in float32."""
        spread = self._sorted(value.expand(self.shape)[None])
        return (
            spread.to(self.device, torch.float32)
            .clone(memory_format=torch.contiguous_format)
            .reshape(self.shape[0], self.neurons)
        )

    def fresh(self, value: Tensor) -> bool:
        """Whether a state is the same for all samples."""
        return value.dim() < len(self.shape) or value.shape[0] == 1 or value.stride(0) == 0

    def empty(self, steps: int, dtype: torch.dtype) -> Tensor:
        """Memory for ``steps`` of these, in this order."""
        if self.device.type == "cpu":
            return empty(steps, *self._named, dtype=dtype)
        return torch.empty(steps, *self._named, dtype=dtype, device=self.device)

    def named(self, values: Tensor) -> Tensor:
        """The same memory with axes in the usual order, ``(T, N, ...)``."""
        return values.reshape(len(values), *self._named).permute(self._back)

    def named_state(self, state: Tensor) -> Tensor:
        """The same for a state, ``(N, ...)``."""
        return self.named(state[None])[0]
