"""What a run gives, block by block and piece by piece, put together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..graph import BATCH, Graph, Ref
from ..sample_axis import SAME, Along, places
from .time_varying import DeferredSum, Timed


def side_by_side(graph: Graph, parts: list[list[Any]]) -> list[Any]:
    """The outputs of parts of a batch, as those of the whole batch; each ``(T, ...)``."""
    found = []
    for i, output in enumerate(graph.outputs):
        place = places(graph)[output.name] if isinstance(output, Ref) else SAME
        values = [part[i] for part in parts]
        found.append(torch.cat(values, 1 + place.axis) if isinstance(place, Along) else values[0])  # behind time
    return found


def repeated(value: Any, steps: int) -> Any:
    """A value in each of so many steps, ``(T, ...)``."""
    if isinstance(value, Timed) and value.scale is None and value.offset is None:
        return value.values  # of the type that the ANN's output has
    if isinstance(value, (Timed, DeferredSum)):
        return value.real
    return value.expand(steps, *value.shape) if isinstance(value, Tensor) else value


def in_time(blocks: list[list[Any]]) -> list[Any]:
    """The blocks of each output as one, laid out as the user knows it."""
    parts = zip(*blocks, strict=True)
    return [torch.cat(part).contiguous() if isinstance(part[0], Tensor) else part[0] for part in parts]


def batch_first(graph: Graph, outputs: list[Any]) -> list[Any]:
    """Outputs ``(T, N, ...)`` as ``(N, T, ...)``, where they begin with the batch."""
    shapes = [graph.shape(output.name) if isinstance(output, Ref) else None for output in graph.outputs]
    return [x.transpose(0, 1) if shape and shape[0] is BATCH else x for x, shape in zip(outputs, shapes, strict=True)]
