"""Find the fastest precision that does as float32 does, without labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..data import rows
from ..judging import Judge, Tally, yardstick_for
from ..network import SpikingNetwork
from ..run.neurons import SpikingReLU
from ..run.arithmetic import PRECISIONS, Precision, holds
from .precision_choice import PrecisionChoice, PrecisionTrial

ROUNDS = 5
"""Runs of a batch in each precision, in turns, whose median is compared."""


def choose_precision(
    snn: SpikingNetwork,
    held: Sequence[tuple[Any, ...]],
    judge: Judge,
    within: float | None,
    progress: Callable[[str], None] | None = None,
) -> PrecisionChoice:
    """Try all precisions on the samples held; the network is left in float32.

    Args:
        snn: On its device.
        held: Batches of arguments.
        judge: By what, as for ``from_torch``.
        within: Points of agreement with float32, or percent of relative error, that may be missing.
        progress: Called with a line of text after each.

    Raises:
        ConversionError: outputs that cannot be judged.
    """
    device = next(iter(snn.buffers())).device
    held = pytree.tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, list(held))
    outputs: dict[Precision, list[Any]] = {}
    kinds = [neuron.options for neuron in snn.neurons.values() if isinstance(neuron, SpikingReLU)]
    for precision in PRECISIONS:
        if all(holds(precision, kind) for kind in kinds):
            snn.precision = precision
            outputs[precision] = [snn(*args) for args in held]
    snn.precision = "float32"
    yardstick = yardstick_for(snn.graph, outputs["float32"], judge, within, "precision='auto'")
    times: dict[Precision, list[float]] = {precision: [] for precision in outputs}
    for _ in range(ROUNDS):
        for precision, taken in times.items():
            snn.precision = precision
            snn(*held[0])  # the first run in a precision lays out its weights
            start = time.perf_counter()
            _wait(snn(*held[0]))
            taken.append(time.perf_counter() - start)
    snn.precision = "float32"
    trials = []
    for precision, found in outputs.items():
        tally = Tally(yardstick)
        for output, wanted in zip(found, outputs["float32"], strict=True):
            tally.add(output, wanted)
        share = median(times[precision]) / median(times["float32"])
        trials.append(PrecisionTrial(precision, tally.agreement, share, yardstick.reached(tally), tally.error))
        if progress is not None:
            progress(f"tried {trials[-1]}")
    best = min((t for t in trials if t.reached), key=lambda t: t.time)
    return PrecisionChoice(best, yardstick.within, sum(rows(args) for args in held), tuple(trials))


def _wait(output: Any) -> None:
    if isinstance(output, Tensor) and output.is_cuda:
        torch.cuda.synchronize()
