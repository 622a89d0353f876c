"""What the names of operations stand for."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor

RELU: Final = "respike.relu"
"""ReLU(x), or min(ReLU(x), cap) with the keyword ``cap``, maybe in steps: what becomes a spiking neuron."""


def relu(
    x: Tensor,
    cap: float | None = None,
    levels: int | None = None,
    step: float | None = None,
    shift: float = 0.5,
) -> Tensor:
    """What the operation ``RELU`` computes in the ANN.

    Args:
        x: The current.
        cap: Upper bound.
        levels: Steps between 0 and ``cap``, of an activation that was quantised in training.
        step: Size of a step, if there is no bound.
        shift: Share of a step that is added before rounding down.
    """
    if levels is not None and cap is not None:  # in the order of ``equations.iaf_count``, to the last bit
        return torch.floor((x * levels + cap * shift) / cap).clamp(min=0, max=levels) * cap / levels
    if step is not None:
        return torch.floor((x + step * shift) / step).clamp(min=0) * step
    return torch.clamp(x, min=0, max=cap)


@cache
def function(op: str) -> Callable[..., Any]:
    """The function that an operation's name stands for: ``operator.*``, or one of PyTorch, mostly ``aten.*``."""
    if op == RELU:
        return relu
    space, name = op.split(".", 1)
    if space == "operator":
        found: Callable[..., Any] = getattr(operator, name)
        return found
    packet, overload = name.split(".")
    found = getattr(getattr(getattr(torch.ops, space), packet), overload)
    return _of_contiguous(found) if packet.startswith("max_pool3d") else found


def _of_contiguous(operation: Any) -> Callable[..., Any]:
    """An operation that PyTorch refuses for ``(C, D, H, W)`` laid out as images ``(N, C, H, W)`` are."""

    def applied(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return operation(x.contiguous() if x.dim() == 4 else x, *args, **kwargs)

    applied._schema = operation._schema  # type: ignore[attr-defined]
    return applied
