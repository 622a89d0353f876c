"""In which unit the values behind a maximum or a pool are: what one spike carries, if that is one number for each.

A pool looks at the last axes of its input, whatever these are: of a layer of neurons with one threshold for each
channel it may look at several channels, and then what it gives is no number of spikes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ..graph import Node, Ref, function, leaves
from .neurons import SpikingReLU


def pooled_axes(op: str) -> int:
    """How many axes a pool goes over, the last ones; 0 if the operation is no pool."""
    found = re.search(r"pool(\d)d", op)
    return int(found[1]) if found else 0


def pools_in(scale: Tensor, node: Node) -> bool:
    """Whether all values that a pool takes together have one unit, so that what it gives has that unit as well.

    Args:
        scale: The unit of each value, broadcasting over ``(N, ...)``.
        node: The pool.
    """
    return all(n == 1 for n in scale.shape[-pooled_axes(node.op) :])


def unit_behind(node: Node, source: SpikingReLU | None, shape: Sequence[int]) -> Tensor | None:
    """What one spike carries in what a maximum sends, broadcasting over its output; None if it sends any number.

    It sends spikes if it reads one layer of neurons, all spikes of that layer are whole numbers of θ, and each of its
    outputs looks at neurons with one θ: then every increment is so many of them.

    Args:
        node: The maximum.
        source: The neurons that it reads first; None if it reads something else.
        shape: Of their spikes, of one sample, ``(C, ...)``.
    """
    if source is None or source.options.neuron == "multi_threshold":
        return None
    if sum(isinstance(a, Ref) for a in leaves((node.args, node.kwargs))) != 1 or not isinstance(node.args[0], Ref):
        return None
    if source.threshold.numel() == 1:
        return source.threshold.flatten()
    theta, fn = source.threshold.expand(1, *shape), function(node.op)

    def applied(x: Tensor) -> Tensor:
        found = fn(x, *node.args[1:], **node.kwargs)
        values: Tensor = found[0] if isinstance(found, (list, tuple)) else found
        return values

    largest, smallest = applied(theta), -applied(-theta)
    return largest if torch.equal(largest, smallest) else None
