"""What the ANN is shown of inputs that move: the mean of their frames, or each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..convert import checks
from ..convert.graph import Graph
from ..convert.run.moving_inputs import frame_by_frame, means
from ..errors import InputError

AnnOn = Literal["mean", "frames"]


def check_ann_on(ann_on: Any, graph: Graph) -> None:
    """Whether this can be shown to the ANN.

    Raises:
        ConversionError: another word.
        ValueError: frames, of a network whose inputs hold still.
    """
    checks.one_of("ann_on", ann_on, get_args(AnnOn))
    if ann_on == "frames" and not graph.moving:
        raise InputError("ann_on='frames' is for inputs that move, and this network's hold still; leave it at 'mean'")


def ann_output(ann: Callable[..., Any], graph: Graph, inputs: list[Tensor], ann_on: AnnOn) -> Any:
    """The ANN's output: on the mean of the frames, or the mean of its outputs on each of them.

    Args:
        ann: Takes the arguments, and may change them.
        graph: Of the network.
        inputs: In the order of its inputs.
        ann_on: Which.

    Raises:
        ValueError: outputs without a mean.
    """
    if ann_on == "mean":
        return ann(*graph.unflatten([x.clone() for x in means(graph, inputs)]))
    outputs = (ann(*graph.unflatten([x.clone() for x in shown])) for shown in frame_by_frame(graph, inputs))
    return mean_of(outputs)


def mean_of(outputs: Any) -> Any:
    """The mean of outputs of one structure, one after the other.

    Raises:
        ValueError: they are no real numbers.
    """
    total, spec, count = list[Any](), None, 0
    for output in outputs:
        found, spec = pytree.tree_flatten(output)
        count += 1
        if any(isinstance(x, Tensor) and not x.is_floating_point() for x in found):
            raise InputError("ann_on='frames' takes the mean of the ANN's outputs, and these are classes, no scores")
        total = [a + b if isinstance(b, Tensor) else b for a, b in zip(total or [0.0] * len(found), found, strict=True)]
    assert spec is not None
    return pytree.tree_unflatten([x / count if isinstance(x, torch.Tensor) else x for x in total], spec)
