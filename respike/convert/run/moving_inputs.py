"""Inputs that differ in every step, ``(N, T, ...)``: a frame for each."""

from __future__ import annotations

from torch import Tensor

from ...errors import InputError
from .. import checks
from ..graph import Graph
from .time_varying import Timed, channels_last


class StepInputs:
    """The inputs of a run.

    Args:
        graph: Which says what moves.
        inputs: In the order of its inputs.

    Attributes:
        still: Those that hold still, and the first frame of the others.
    """

    def __init__(self, graph: Graph, inputs: list[Tensor]) -> None:
        self.moving = {name: x for name, x in zip(graph.inputs, inputs, strict=True) if name in graph.moving}
        self.still = [x[:, 0] if name in graph.moving else x for name, x in zip(graph.inputs, inputs, strict=True)]

    def at(self, start: int, length: int) -> dict[str, Timed]:
        """So many frames of each input that moves, time first, laid out as the network computes."""
        found = {}
        for name, x in self.moving.items():
            frames = x[:, start : start + length].transpose(0, 1)
            found[name] = Timed(channels_last(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]))
        return found

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the samples, a mask ``(N,)``."""
        self.moving = {name: x[rows] for name, x in self.moving.items()}


def steps_of(graph: Graph, inputs: list[Tensor], asked: int | None, usual: int) -> int:
    """How many timesteps a run takes: so many as are asked for, else one for each frame, else the usual number.

    Raises:
        ValueError: no number of steps, inputs with different numbers of frames, or fewer frames than steps.
    """
    asked = None if asked is None else checks.whole("timesteps", asked, 1, checks.STEPS)
    given = {name: x.shape[1] for name, x in zip(graph.inputs, inputs, strict=True) if name in graph.moving}
    if len(set(given.values())) > 1:
        told = ", ".join(f"{name!r} has {count}" for name, count in given.items())
        raise InputError(f"inputs that move need as many frames each: {told}")
    if not given:
        return usual if asked is None else asked
    graph.first_frames(inputs, 1 if asked is None else asked)
    return next(iter(given.values())) if asked is None else asked


def over_time(graph: Graph, inputs: list[Tensor], steps: int) -> list[Tensor]:
    """All inputs as ``(N, T, ...)``: those that hold still in each of the steps, of the others so many frames."""
    return [
        x[:, :steps] if name in graph.moving else x[:, None].expand(-1, steps, *[-1] * (x.dim() - 1))
        for name, x in zip(graph.inputs, inputs, strict=True)
    ]


def means(graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """What the ANN is shown of such inputs: the mean of their frames, which is what a rate says."""
    return [x.mean(1) if name in graph.moving else x for name, x in zip(graph.inputs, inputs, strict=True)]
