"""Test data in whatever form the user has it, as batches of inputs and targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, TensorDataset

from ..convert.data import is_dataset, rows, tensors_in, untold
from ..convert.graph import Graph
from ..convert.rank_batches import has_order, reading
from ..errors import InputError
from ..workers import NumberedBatches, loader


def split_batches(data: Any, batch_size: int, graph: Graph) -> Iterator[tuple[list[Tensor], Any]]:
    """Batches of inputs and targets, from whatever ``evaluate`` takes; empty ones are skipped."""
    return split(batched(data, batch_size)[0], graph)


def batched(data: Any, batch_size: int) -> tuple[Iterable[Any], int | None]:
    """Batches, and the number of samples if it is known.

    Raises:
        ValueError: no form of data that is known, or as many targets as inputs are missing.
    """
    data = with_pairs(untold(data))
    if isinstance(data, DataLoader):
        return data, len(data.dataset) if hasattr(data.dataset, "__len__") else None
    if is_dataset(data):
        length = len(data) if hasattr(data, "__len__") else None
        return () if length == 0 else loader(data, batch_size=batch_size), length
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping, Tensor, np.ndarray)):
        return data, None
    raise InputError(
        "data must be a Dataset of (input, target), a pair of tensors or an iterable of batches (input, target); got "
        f"{type(data).__name__}"
    )


def with_pairs(data: Any) -> Any:
    """A pair of tensors, or arrays, as a Dataset of pairs; other data as they are.

    Raises:
        ValueError: as many targets as inputs are missing.
    """
    if (
        not isinstance(data, (tuple, list))
        or len(data) != 2
        or not all(isinstance(x, (Tensor, np.ndarray)) for x in data)
    ):
        return data
    x, y = tensors_in(tuple(data), "data")
    lengths = [len(v) if v.dim() else 0 for v in (x, y)]
    if lengths[0] != lengths[1]:
        raise InputError(f"{lengths[0]} inputs and {lengths[1]} targets do not belong together")
    return TensorDataset(x, y)


def split(batches: Iterable[Any], graph: Graph) -> Iterator[tuple[list[Tensor], Any]]:
    """Each batch as the tensors that the network takes and the target; empty batches are skipped.

    Args:
        batches: (inputs, target), the inputs one argument, or a tuple of all of them; or (input, ..., target).
        graph: Of the network that takes the arguments.

    Raises:
        ValueError: a batch without a target, or with too few inputs.
    """
    return (found for batch in batches if (found := one_split(batch, graph)) is not None)


def one_split(batch: Any, graph: Graph) -> tuple[list[Tensor], Any] | None:
    """One batch, as ``split`` gives it; None if it is empty.

    Raises:
        ValueError: as ``split``.
    """
    args, target = _one(batch, graph)
    args, target = tensors_in(args, "data"), tensors_in(target, "targets")
    if not any(isinstance(x, Tensor) for x in pytree.tree_leaves(args)):
        raise InputError(f"a batch of test data must begin with tensors, got {type(args[0]).__name__}")
    return (graph.flatten(args), target) if rows(args) else None


def part_of(
    batches: Iterable[Any], length: int | None, part: tuple[int, int] | None
) -> tuple[Iterable[Any], int | None]:
    """One part of several of the batches, and the number of its samples if it is known.

    Batch k belongs to part k modulo their number, as it would belong to a process.

    Args:
        batches: All.
        length: How many samples they hold.
        part: Which part, from 1, of how many; None: all.
    """
    if part is None:
        return batches, length
    place, count = part[0] - 1, part[1]
    if isinstance(batches, DataLoader) and has_order(batches):
        order = list(batches.sampler if batches.batch_sampler is None else batches.batch_sampler)[place::count]
        return reading(batches, order), sum(len(k) if isinstance(k, list) else 1 for k in order)
    if isinstance(batches, NumberedBatches):
        own = batches[place::count]
        return own, sum(map(len, own.order))
    if isinstance(batches, Sequence):
        return batches[place::count], None
    return islice(batches, place, None, count), None


def _one(batch: Any, graph: Graph) -> tuple[tuple[Any, ...], Any]:
    items = list(batch.values()) if isinstance(batch, Mapping) else batch
    if not isinstance(items, Sequence) or isinstance(items, str) or len(items) < 2:
        raise InputError(f"a batch of test data must be (input, target); got {_told(batch)}")
    inputs = graph.arity
    several = isinstance(items[0], (tuple, list))
    ways = [((items[0],), 1), (tuple(items[0]) if several else (), 1), (tuple(items[:inputs]), inputs)]
    args, place = next((way for way in ways if graph.fits(way[0])), ways[1 if several else 2])
    if len(items) <= place:
        raise InputError(f"the network takes {inputs} inputs, so a batch needs {inputs + 1} items; got {len(items)}")
    return args, items[place]


def _told(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)}"
    size = f" of {len(batch)}" if isinstance(batch, (Sequence, Mapping)) and not isinstance(batch, str) else ""
    return f"{type(batch).__name__}{size}"
