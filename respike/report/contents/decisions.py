"""Which class was taken for which, and the samples on which SNN and ANN differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ...convert.network import SpikingNetwork
from ...convert.output_judging import border, decision, is_single_score, single
from ...convert.run.moving_inputs import means
from ...convert.tracing.copy_model import prepare
from ...errors import InputError
from ...evaluation.batches import split_batches
from ...evaluation.shown_to_ann import AnnOn, ann_output
from ...evaluation.targets import UNLABELLED, labels_of
from .pictures import picture

PICTURES = 48
"""Most differing samples that are kept."""


@torch.no_grad()
def decisions(
    snn: SpikingNetwork,
    ann: nn.Module | None,
    data: Any,
    *,
    timesteps: int,
    ann_on: AnnOn = "mean",
    batch_size: int = 100,
    classes: Sequence[str] | None = None,
) -> dict[str, Any] | None:
    """What SNN and ANN decide after ``timesteps`` steps; None if they do not decide one class a sample.

    Returns:
        ``samples``; ``timesteps``; ``classes``, their names; ``confusion``: rows ``[label, answer, SNN's count, ANN's
        count]`` without those that never happened, the ANN's 0 without an ANN; ``differing``: None without an ANN,
        else how often the two differ and which of them is then right, and the first samples ``shown``: ``index``,
        ``label``, ``snn``, ``ann`` and a ``picture`` if the input is an image.
    """
    device, where = next(iter(snn.buffers())).device, border(snn.graph)
    reference = None if ann is None else prepare(ann, device)
    counts: tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]] = Counter(), Counter()
    shown: list[dict[str, Any]] = []
    right = Counter[str]()
    seen = width = 0
    for inputs, target in split_batches(data, batch_size, snn.graph):
        inputs, target = on_device((snn.graph.first_frames(inputs, timesteps), target), device)
        told = means(snn.graph, inputs)
        output = single(_last(snn, inputs, timesteps))
        answer = decision(output, where)
        if output is None or answer is None or answer.dim() != 1:
            return None
        target = labels_of(target, output, where)
        if bool((target == UNLABELLED).any()):
            return None
        width = max(width, 2 if is_single_score(output) else output.shape[1] if output.dim() == 2 else 0)
        counts[0].update(zip(target.tolist(), answer.tolist(), strict=True))
        if reference is not None:
            expected = decision(ann_output(reference, snn.graph, inputs, ann_on), where)
            assert expected is not None
            counts[1].update(zip(target.tolist(), expected.tolist(), strict=True))
            for k in (answer != expected).nonzero().flatten().tolist():
                label, own, other = int(target[k]), int(answer[k]), int(expected[k])
                right["snn" if own == label else "ann" if other == label else "neither"] += 1
                if len(shown) < PICTURES:
                    image = picture(told[0][k]) if len(inputs) == 1 else None
                    shown.append({"index": seen + k, "label": label, "snn": own, "ann": other, "picture": image})
        seen += len(target)
    cells = sorted({*counts[0], *counts[1]})
    known = max([width, *(max(cell) + 1 for cell in cells)])
    names = [str(k) for k in range(known)] if classes is None else [str(name) for name in classes]
    if len(names) < known:
        raise InputError(f"there are {known} classes and {len(names)} names for them; give one for each class")
    differing = {"count": right.total(), **{k: right[k] for k in ("snn", "ann", "neither")}, "shown": shown}
    return {
        "samples": seen,
        "timesteps": timesteps,
        "classes": names,
        "confusion": [[*cell, counts[0][cell], counts[1][cell]] for cell in cells],
        "differing": None if reference is None else differing,
    }


def on_device(tree: Any, device: torch.device, copy: bool = False) -> Any:
    """The same on a device; copies keep what the ANN does in place from the caller's tensors."""
    return pytree.tree_map(lambda x: x.to(device, copy=copy) if isinstance(x, Tensor) else x, tree)


def _last(snn: SpikingNetwork, inputs: list[Tensor], timesteps: int) -> Any:
    """The estimate after the last step."""
    if timesteps == snn.timesteps:
        return snn(*snn.graph.unflatten(inputs))  # keeps no step but the last, and works on parts of the batch at once
    block = list(snn.blocks(inputs, timesteps=timesteps, only_last=True))[-1]
    return snn.output_at(block, -1)
