"""What those who look on while a network runs are told."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..graph import Node
from .graph_walk import Value

Recorder = Callable[[Node, Tensor, Tensor], None]
"""Called as ``recorder(node, events, values)``: events ``(T, N, ...)`` and what they carry in each step.

Where every T is a run of its own, an entry holds the events of the whole run and what they carry on average.
"""

Watch = Callable[[Node, Value], None]
"""Called as ``watch(node, current)`` before a layer fires: a tensor ``(N, ...)`` if constant, else timed."""


ROUNDING = 2e-6
"""Share of a sum in float32 up to which a change of it is rounding."""


def events_of(values: Tensor, unit: Tensor | None, total: Tensor) -> Tensor:
    """How many spikes these values are if spikes have a unit, else one where there is more than rounding.

    Args:
        values: What is sent, ``(T, N, ...)``.
        unit: What one spike carries.
        total: The sums of what was sent, whose largest of a sample tells how large rounding is: sums that are equal,
            reached in another order, differ by that.
    """
    if unit is not None:
        return (values / unit).round_().abs_()
    largest = total.abs()
    if total.dim() > 2 and total.numel():
        largest = largest.amax(tuple(range(2, total.dim())), keepdim=True)
    return (values.abs() > ROUNDING * largest).to(values.dtype)
