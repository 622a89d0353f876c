"""What is looked at before a run: numbers that a network cannot compute with, and more steps than it was made for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ...errors import InputError
from ..errors import warn
from ..graph import BATCH, Graph
from .time_varying import channels_last


def check_finite(inputs: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int | None]]) -> None:
    """Refuse NaN and infinity: neurons would go on as if nothing were there, and give a confident answer.

    That is one pass over the inputs.

    Args:
        inputs: By name, in the type in which they are used.
        shapes: Their shapes, as in ``graph.Graph``.

    Raises:
        ValueError: an input that is not finite; it says which, and in how many samples.
    """
    for name, x in inputs.items():
        if not x.is_floating_point() or not x.numel() or x.is_meta:
            continue
        low, high = torch.aminmax(x)
        if bool((low.isfinite() & high.isfinite()).cpu()):
            continue
        bad = ~x.isfinite()
        where = ""
        if BATCH in shapes[name]:
            axis = list(shapes[name]).index(BATCH)
            rows = bad.movedim(axis, 0).reshape(x.shape[axis], -1).any(1).nonzero().flatten().tolist()
            where = f" in {len(rows):,} of {x.shape[axis]:,} samples (the first is number {rows[0]}, counted from 0)"
        raise InputError(
            f"the input {name!r} holds NaN, infinity or numbers beyond {str(x.dtype).removeprefix('torch.')}{where}; "
            "leave these samples out, or replace the values"
        )


def ready_inputs(graph: Graph, inputs: Sequence[Tensor], kind: torch.dtype) -> list[Tensor]:
    """The inputs in the type in which a network computes, laid out as it likes them.

    Raises:
        ValueError: one that is not finite.
    """
    tensors = {n: x.to(kind) if x.is_floating_point() else x for n, x in zip(graph.inputs, inputs, strict=True)}
    check_finite(tensors, graph.inputs)
    still = {name for name, x in tensors.items() if x.is_floating_point()} - graph.moving
    return [channels_last(x) if name in still else x for name, x in tensors.items()]


def number_type(buffers: Iterable[Tensor]) -> torch.dtype:
    """The type of numbers that a network computes in: float32, or float64.

    Args:
        buffers: Its weights and thresholds.

    Raises:
        ValueError: half precision.
    """
    kind = next((b.dtype for b in buffers if b.is_floating_point()), torch.float32)
    if kind in (torch.float16, torch.bfloat16):
        raise InputError(
            f"a spiking network computes in float32 or float64, and half(), bfloat16() or to() has made this one "
            f"{str(kind).removeprefix('torch.')}; convert it again, and set precision='bfloat16' or precision='int8' "
            "for synapses of lower precision"
        )
    return kind


def warn_of_longer_run(fitted: bool, calibrated: int, timesteps: int) -> bool:
    """Say that a run is longer than those that a network was fitted to; whether it was said.

    Thresholds with the least squared error clip what is rarely needed, and biases make up for what that loses together
    with what few steps lose: with more steps they make up for too much. The largest activation as a threshold clips
    nothing, and without correction nothing is made up for.
    """
    if not fitted or timesteps <= calibrated:
        return False
    warn(
        f"this network runs {timesteps} timesteps, and its thresholds and biases were chosen for {calibrated} "
        "(threshold='mse'): beyond these its error soon stops falling, and can rise. Convert with "
        f"timesteps={timesteps}, or with threshold='max', with which the error goes on falling"
    )
    return True
