"""Inputs that differ in every step: given as ``(N, T, ...)``, a frame for each, or made so by an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from .. import checks
from ..graph import Graph, Node
from ..graph.rules import Role
from ..options import Schedule
from .input_encoders import Clock, encoded
from .time_varying import Timed, channels_last


class StepInputs:
    """The inputs of a run.

    Args:
        graph: Which says what moves and what is encoded.
        inputs: In the order of its inputs.
        total: Steps of the run.

    Attributes:
        still: Those that hold still, and the first frame of the others.
        varying: Those that differ from step to step, as they are given.
    """

    def __init__(self, graph: Graph, inputs: list[Tensor], total: int) -> None:
        self.graph, self.total = graph, total
        named = list(zip(graph.inputs, inputs, strict=True))
        self.varying = {name: x for name, x in named if name in graph.varying}
        self.still = [x[:, 0] if name in graph.moving else x for name, x in named]

    def at(self, start: int, mode: Any) -> dict[str, Timed]:
        """What each input that varies is in the steps that a mode has begun, time first, laid out for the network.

        Args:
            start: The first frame.
            mode: ``Synchronous``, which keeps what encoders remember, and tells its recorder of their events.
        """
        found = {}
        for name, x in self.varying.items():
            encoding = self.graph.encodings.get(name)
            if encoding is None:
                frames = x[:, start : start + mode.steps].transpose(0, 1)
            else:
                moves = name in self.graph.moving
                clock = Clock(mode.elapsed, self.total, mode.begun, moves)
                events = encoded(encoding, _each(x, moves, start, mode.steps), name, clock, mode.state)
                frames = events * encoding.carried
                if mode.recorder is not None:
                    mode.tell(event_source(self.graph, name), whole(events, name), Timed(frames))
            found[name] = Timed(channels_last(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]))
        return found

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the samples, a mask ``(N,)``."""
        self.varying = {name: x[rows] for name, x in self.varying.items()}


class _Mode:
    """As much of a mode as encoders need."""

    recorder = None

    def __init__(self) -> None:
        self.elapsed, self.steps, self.begun, self.state = 0, 1, None, dict[str, Any]()


def _each(x: Tensor, moves: bool, start: int, steps: int) -> Iterator[Tensor]:
    return (x[:, t] if moves else x for t in range(start, start + steps))


def event_source(graph: Graph, name: str) -> Node:
    """An input as a recorder is told of it, and as counts name it: something that sends events."""
    return Node(name, "respike.input", (), path=name, kind="input", shape=graph.inputs[name], role=Role.LINEAR)


def whole(events: Tensor, name: str) -> Tensor:
    """How many events these are.

    Raises:
        ValueError: they are no whole numbers.
    """
    count = events.abs()
    if not bool((count == count.round()).all()):
        raise InputError(
            f"the frames of {name!r} count as events, and these are no whole numbers; to have their multiplications "
            "counted instead, take snn.with_time(), or calibrate with respike.Frames(data, events=False)"
        )
    return count


def check_runs(graph: Graph, schedule: Schedule) -> None:
    """Refuse runs that there are not for inputs that vary.

    Raises:
        ValueError: such a run.
    """
    if graph.varying and schedule == "layerwise":
        raise InputError(
            "inputs that move or are encoded are for the schedules 'synchronous' and 'pipelined'; set snn.schedule"
        )


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
    """All inputs as the network sees them, ``(N, T, ...)``: encoded ones as events, what holds still in each step."""
    varying = StepInputs(graph, inputs, steps)
    mode, seen = _Mode(), dict[str, Tensor]()
    mode.steps = steps
    for name, frames in varying.at(0, mode).items():
        seen[name] = frames.values.transpose(0, 1)
    return [
        seen[name] if name in seen else x[:, None].expand(-1, steps, *[-1] * (x.dim() - 1))
        for name, x in zip(graph.inputs, inputs, strict=True)
    ]


def frame_by_frame(graph: Graph, inputs: list[Tensor]) -> Iterator[list[Tensor]]:
    """What the ANN is shown of each frame: of encoders that keep the value the frame itself, of others their events."""
    given = dict(zip(graph.inputs, inputs, strict=True))
    frames, mode = StepInputs(graph, inputs, 1), _Mode()
    codes = {name for name, encoding in graph.encodings.items() if encoding.encoder == "delta"}
    frames.varying = {name: x for name, x in frames.varying.items() if name in codes}
    length = steps_of(graph, inputs, None, 1)
    for t in range(length):
        mode.elapsed = t
        events = frames.at(t, mode)
        yield [
            events[name].values[0] if name in codes else x[:, t] if name in graph.moving else x
            for name, x in given.items()
        ]


def means(graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """What the ANN is shown of such inputs: the mean of their frames, which is what a rate says.

    Encoders keep the value, but for ``"delta"``: of that it is the mean of the events.
    """
    if not any(encoding.encoder == "delta" for encoding in graph.encodings.values()):
        return [x.mean(1) if name in graph.moving else x for name, x in zip(graph.inputs, inputs, strict=True)]
    totals, count = [torch.zeros(())] * len(inputs), steps_of(graph, inputs, None, 1)
    for shown in frame_by_frame(graph, inputs):
        totals = [total.to(x.device) + x for total, x in zip(totals, shown, strict=True)]
    named = zip(graph.inputs, totals, inputs, strict=True)
    return [total / count if name in graph.moving else x for name, total, x in named]
