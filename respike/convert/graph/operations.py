"""What the names of operations stand for."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor

RELU: Final = "respike.relu"
"""ReLU(x), or min(ReLU(x), cap) with the keyword ``cap``, maybe in steps: what becomes a spiking neuron.

With ``two_sided`` it is x itself: a neuron whose spikes have either sign, and follow a signal of either sign.
"""


def relu(
    x: Tensor,
    cap: float | None = None,
    levels: int | None = None,
    step: float | None = None,
    shift: float = 0.5,
    two_sided: bool = False,
) -> Tensor:
    """What the operation ``RELU`` computes in the ANN.

    Args:
        x: The current.
        cap: Upper bound.
        levels: Steps between 0 and ``cap``, of an activation that was quantised in training.
        step: Size of a step, if there is no bound.
        shift: Share of a step that is added before rounding down.
        two_sided: Whether it is x itself.
    """
    if two_sided:
        return x.clone()
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
    if op in _OURS:
        return _OURS[op]
    space, name = op.split(".", 1)
    if space == "operator":
        found: Callable[..., Any] = getattr(operator, name)
        return found
    packet, overload = name.split(".")
    named: Callable[..., Any] = getattr(getattr(getattr(torch.ops, space), packet), overload)
    return named


def max_pool3d(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """PyTorch's, which refuses ``(C, D, H, W)`` laid out as images ``(N, C, H, W)`` are."""
    return torch.ops.aten.max_pool3d.default(x.contiguous() if x.dim() == 4 else x, *args, **kwargs)


def max_pool3d_with_indices(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The same with the places of the maxima."""
    return torch.ops.aten.max_pool3d_with_indices.default(x.contiguous() if x.dim() == 4 else x, *args, **kwargs)


_OURS: Final[dict[str, Callable[..., Any]]] = {
    "aten.max_pool3d.default": max_pool3d,
    "aten.max_pool3d_with_indices.default": max_pool3d_with_indices,
}
"""In the place of PyTorch's. They have names, so that the code of a module can import them."""
for _ours in _OURS.values():
    _ours._schema = getattr(torch.ops.aten, _ours.__name__).default._schema  # type: ignore[attr-defined]
