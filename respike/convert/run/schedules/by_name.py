"""The schedules by name: how a network runs with each, and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping, Set

from ...options import Schedule
from ..arithmetic import Arithmetic
from ..execution_plan import Plan
from ..neurons import SpikingReLU
from ..recording import Recorder
from .layerwise import Layerwise
from .pipelined import Pipelined
from .synchronous import Synchronous


def mode_of(
    schedule: Schedule,
    delay: int,
    neurons: Mapping[str, SpikingReLU],
    recorder: Recorder | None = None,
    arithmetic: Arithmetic | None = None,
    first: Set[str] = frozenset(),
) -> Synchronous | Layerwise:
    """The mode that runs a network with this schedule; ``delay`` and ``first`` count with ``"pipelined"`` alone."""
    if schedule == "layerwise":
        return Layerwise(neurons, recorder)
    if schedule == "synchronous":
        return Synchronous(neurons, recorder, arithmetic)
    return Pipelined(neurons, delay, recorder, arithmetic, first)


def latency(schedule: Schedule, delay: int, plan: Plan, timesteps: int) -> int:
    """Total timesteps until the answer after ``timesteps`` steps per layer is there.

    Layerwise every layer and the readout wait for a complete input, the constant one of the network too. Pipelined
    a layer whose current is constant starts at once, so that for ``delay`` = T the answers are those of layerwise
    and come T steps earlier for a network with constant input.
    """
    if schedule == "pipelined":
        return timesteps + delay * plan.waiting
    return timesteps * (1 if schedule == "synchronous" else plan.depth + 1)
