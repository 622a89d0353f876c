"""Whether a run fits into memory, said before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psutil

from ..source_names import SourceError

if TYPE_CHECKING:
    from ..convert import SpikingNetwork

CURVES = 16
"""Numbers in double precision that a run keeps for each timestep at least: accuracy, spikes, latency, ..."""


def check_steps(timesteps: int | str | Iterable[int], numbers: int = CURVES) -> None:
    """Raise for more timesteps than memory has room for, however small the network.

    Args:
        timesteps: T, several of them, or the word auto.
        numbers: How many are kept for each timestep.

    Raises:
        SourceError: the command needs more than there is.
    """
    if isinstance(timesteps, str):
        return
    most = timesteps if isinstance(timesteps, int) else max(timesteps)
    _check(8 * numbers * most, f"{most:,} timesteps", "take fewer --timesteps")


def check_run(snn: SpikingNetwork, samples: int, options: dict[str, Any]) -> None:
    """Raise for a run that memory has no room for: the curves of each layer, and one step of one piece of a batch.

    Args:
        snn: The network.
        samples: Of the data.
        options: Of the command.

    Raises:
        SourceError: as ``check_steps``.
    """
    steps, batch = snn.timesteps, min(options.get("batch_size", 1), samples)
    together = 1 if snn.plan.apart else batch
    curves = 8 * steps * (CURVES + 4 * len(snn.neurons))
    twin = 4 * steps * batch if options.get("against_float32") else 0
    what = f"{steps:,} timesteps of batches of {batch:,}"
    _check(curves + twin + 4 * together * snn.plan.peak, what, "take fewer --timesteps or a smaller --batch-size")


def _check(needed: int, what: str, todo: str) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        raise SourceError(f"{what} need at least {_size(needed)} of memory, but {_size(free)} are free: {todo}")


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
