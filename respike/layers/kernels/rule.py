"""What a kernel is told: which neuron, what drives it, what is tried, and in which form its spikes are wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...errors import InputError


@dataclass(frozen=True)
class Rule:
    """A neuron with soft reset.

    Attributes:
        most: The most spikes a step; None for no limit.
        signed: Whether spikes can be taken back, never below a net count of zero.
        two_sided: Whether the net count of a signed neuron may be below zero, too.
        levels: Weights 1, 1/2, ... of a spike; with more than one there is one spike a step, of either sign.
        alpha: The share of the potential that a step leaves over, with leak compensation; None without leak.
        floor: Lower bound of the potential in units of θ, applied last in each step; None without one.
    """

    most: int | None = 1
    signed: bool = False
    levels: int = 1
    alpha: float | None = None
    floor: float | None = None
    two_sided: bool = False

    def __post_init__(self) -> None:
        if self.two_sided and not self.signed:
            raise InputError("a net count below zero needs spikes of either sign; give signed=True")
        if self.signed and self.most is None:
            raise InputError("a signed neuron needs a number of spikes that it may send in a step")
        if self.levels > 1 and not self.signed:
            raise InputError("spikes of several weights are of either sign; give signed=True")
        if self.floor is not None and not -math.inf < self.floor <= 0:
            raise InputError(f"floor must be a finite number, 0 or less, in units of θ; got {self.floor!r}")

    @property
    def counts(self) -> bool:
        """Whether the net count is part of its state: it is what may be taken back."""
        return self.signed and not self.two_sided

    @property
    def finest(self) -> float:
        """The smallest weight of a spike."""
        return 0.5 ** (self.levels - 1)


@dataclass(frozen=True)
class Drive:
    """The current I_t of a layer of neurons, in parts; the sum is deferred to the kernel.

    Attributes:
        values: ``(T, N, ...)``, or ``(1, N, ...)`` if it is the same in every step.
        steps: T.
        scale: What ``values`` are multiplied by, broadcasting over ``(N, ...)``; None for 1.
        extra: A second current of the shape of ``values``; None for none.
        extra_scale: What ``extra`` is multiplied by, likewise.
        bias: Constant current, added last, broadcasting over ``(N, ...)``; None for none.
        synapses: Makes that of ``values``, which are spikes then: ``(M, ...)`` of ``(M, ...)``; None: nothing does.
    """

    values: Tensor
    steps: int
    scale: Tensor | None = None
    extra: Tensor | None = None
    extra_scale: Tensor | None = None
    bias: Tensor | None = None
    synapses: Callable[[Tensor], Tensor] | None = None

    def summed(self) -> Drive:
        """The same behind the synapses."""
        if self.synapses is None:
            return self
        currents = self.synapses(self.values.flatten(0, 1)).unflatten(0, self.values.shape[:2])
        return replace(self, values=currents, synapses=None)


@dataclass(frozen=True)
class Send:
    """The form of what is sent: s·``scale`` as ``dtype``.

    Attributes:
        scale: Broadcasting over ``(N, ...)``, or a number.
        dtype: float32, bfloat16, or int8 for whole numbers; None for what the currents are computed in.
    """

    scale: Tensor | float = 1.0
    dtype: torch.dtype | None = None

    @property
    def unit(self) -> bool:
        """Whether spikes are sent as the numbers that they are."""
        return isinstance(self.scale, float) and self.scale == 1


@dataclass(frozen=True)
class Trials:
    """Settings of a layer that are tried out side by side, each ``(trials, C)``.

    Attributes:
        threshold: θ.
        start: The potential before the first step, in the units of the current.
        bias: Added to the current in each step.
        steps: T.
    """

    threshold: Tensor
    start: Tensor
    bias: Tensor
    steps: int
