"""Some samples of a batch, as users name them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import shown
from ..errors import ConversionError
from ..run.simulator import Simulator


def mask_of(samples: Tensor | Sequence[int] | Sequence[bool], batch: int) -> Tensor:
    """Which samples of a batch, as a mask ``(N,)``.

    Args:
        samples: Their numbers, counted from 0, or a mask ``(N,)``; a tensor, an array or a list.
        batch: How many there are.

    Raises:
        ConversionError: anything else, or a number that no sample has.
    """
    try:
        given = torch.as_tensor(samples).cpu()
    except (TypeError, ValueError, RuntimeError):
        given = torch.zeros(())
    if given.dtype == torch.bool and given.shape == (batch,):
        return given
    if not given.numel() and given.dim() == 1:
        return torch.zeros(batch, dtype=torch.bool)
    if given.dim() != 1 or given.dtype in (torch.bool, torch.uint8) or given.is_floating_point() or given.is_complex():
        raise ConversionError(
            f"samples must be numbers of samples, or a mask of {batch} truth values; got {shown(samples)}"
        )
    odd = given[(given < 0) | (given >= batch)]
    if len(odd):
        raise ConversionError(f"there is no sample {int(odd[0])}; samples are numbered from 0 to {batch - 1}")
    found = torch.zeros(batch, dtype=torch.bool)
    found[given.long()] = True
    return found


def require_apart(snn: Simulator) -> None:
    """Refuse a network in which a sample is not alone in its part of the state.

    Raises:
        ConversionError: samples meet, or are not proven to stay apart along the first axis.
    """
    if not snn.plan.separable:
        raise ConversionError(
            "only all samples at once can be reset: this network mixes samples, or they are not proven to stay apart "
            "along the first axis of every value. Call reset() without samples, or give each sample a stream of its own"
        )
