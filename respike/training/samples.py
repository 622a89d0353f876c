"""Samples to train with, epoch after epoch, and some that are held back to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ..convert import data as reading
from ..convert.checks import SEEDS
from ..convert.errors import ConversionError
from ..convert.graph import Graph
from ..convert.held_back import EVERY, HeldBack
from ..evaluation.batches import batched, split, with_pairs
from .options import JUDGES

Batch = tuple[list[Tensor], Any]
"""The network's inputs, and labels if they are wanted, else None."""


class Samples:
    """Data of a user as training reads them.

    One sample in eight, until there are enough, is held back, and those first that ``from_torch`` held back from
    calibration with the same data and seed: so no sample judges that has calibrated the network.
    A tensor or a Dataset is shuffled anew in each epoch; another iterable, a list of batches or a loader, is read as it
    comes, once more than it trains, to count, and has to come in the same order each time for the judges to be
    strangers.

    Args:
        data: As for ``from_torch``; with labels as for ``evaluate``.
        graph: Of the network.
        timesteps: Frames that are read of inputs that move.
        device: Where batches are wanted.
        batch_size: Samples in a batch; of an iterable they are as they come.
        most: Most samples that are held back.
        labelled: Whether labels are wanted.
        seed: Of the order, and of what is held back.

    Attributes:
        held: What is held back.
        steps: Batches in an epoch.
        count: Samples in an epoch.

    Raises:
        ConversionError: fewer than sixteen samples, or an iterator that can be read only once.
    """

    def __init__(
        self,
        data: Any,
        graph: Graph,
        timesteps: int,
        device: torch.device,
        batch_size: int,
        most: int,
        labelled: bool,
        seed: int,
    ) -> None:
        self.graph, self.timesteps, self.device = graph, timesteps, device
        self.batch_size, self.labelled, self.seed = batch_size, labelled, seed
        self.data, self.most = _as_dataset(reading.untold(data), labelled), most
        self.indices: list[int] | None = None
        if reading.is_dataset(self.data) and hasattr(self.data, "__getitem__") and isinstance(self.data, Sized):
            order = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(seed)).tolist()
            held = order[EVERY - 1 :: EVERY][:most]
            self.indices = sorted(set(order) - set(held))
            self.held = list(self._picked(held)) if held else []
            self.count = len(self.indices)
            self.steps = -(-self.count // batch_size)
        elif isinstance(self.data, Iterator):
            raise ConversionError(
                f"data is a {type(self.data).__name__}, which can be read only once; give a tensor, a Dataset, a list "
                "of batches or a DataLoader"
            )
        else:
            holder, self.steps, self.count = HeldBack(graph, most), 0, 0
            for tensors in self._others(holder):
                self.steps, self.count = self.steps + 1, self.count + reading.rows(tensors)
            self.held = [self._parted(tensors) for tensors in holder.batches]
        if not self.steps or sum(reading.rows(inputs) for inputs, _ in self.held) < JUDGES:
            raise ConversionError(
                f"fine-tuning needs at least {JUDGES * EVERY} samples, of which one in {EVERY} judges; give more"
            )

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch, in an order of its own where the order is ours."""
        if self.indices is None:
            yield from (self._parted(tensors) for tensors in self._others(HeldBack(self.graph, self.most)))
            return
        shuffle = torch.Generator().manual_seed((self.seed + 1 + number) % SEEDS)
        order = torch.randperm(len(self.indices), generator=shuffle).tolist()
        yield from self._picked([self.indices[i] for i in order])

    def _picked(self, indices: list[int]) -> Iterator[Batch]:
        """The samples with these numbers."""
        order = torch.tensor(indices)
        loader = reading.picked_batches(self.data, order, self.batch_size, None if self.labelled else self.graph.arity)
        return self._read(loader, order)

    def _others(self, holder: HeldBack) -> Iterator[list[Tensor]]:
        """What is not held back of an iterable, labels behind the inputs."""
        whole = ([*inputs, target] if self.labelled else inputs for inputs, target in self._read(self._raw()))
        return holder.others(whole)

    def _raw(self) -> Iterable[Any]:
        """The batches of an iterable."""
        if self.labelled:
            return batched(self.data, self.batch_size)[0]
        return reading.raw_batches(self.data, self.graph.arity, self.seed)[0]

    def _parted(self, tensors: list[Tensor]) -> Batch:
        return (tensors[:-1], tensors[-1]) if self.labelled else (tensors, None)

    def _read(self, batches: Iterable[Any], order: Tensor | None = None) -> Iterator[Batch]:
        if not self.labelled:
            for args in reading.checked(batches, order, self.graph.arity):
                yield self._ready(reading.tensors_of(args, self.graph, self.device, self.timesteps)), None
            return
        seen = 0
        for inputs, target in split(batches, self.graph):
            if not isinstance(target, Tensor):
                raise ConversionError(f"labels must be tensors or arrays of numbers; got {type(target).__name__}")
            reading.require_finite(inputs, seen, order)
            seen += reading.rows(inputs)
            inputs = self.graph.first_frames(inputs, self.timesteps)
            yield self._ready([x.to(self.device) for x in inputs]), target.to(self.device)

    @staticmethod
    def _ready(inputs: list[Tensor]) -> list[Tensor]:
        """Tensors of inference mode as others, which gradients can be computed with."""
        return [x.clone() if x.is_inference() else x for x in inputs]


def _as_dataset(data: Any, labelled: bool) -> Any:
    """A tensor, or a pair of tensors where labels are wanted, as a Dataset; anything else as it is.

    Raises:
        ConversionError: nothing that can be read.
    """
    if isinstance(data, (Tensor, np.ndarray)) and not labelled:
        made = reading.tensors_in(data, "data")
        if not made.dim():
            raise ConversionError("data must be (N, ...), got a single number")
        return TensorDataset(made)
    data = with_pairs(data) if labelled else data
    if (
        isinstance(data, DataLoader)
        or reading.is_dataset(data)
        or (isinstance(data, Iterable) and not isinstance(data, (str, bytes, dict, Tensor, np.ndarray)))
    ):
        return data
    wanted = "a pair of tensors, a Dataset of (input, label)" if labelled else "a tensor, a Dataset"
    why = "with labels, " if labelled else ""
    raise ConversionError(f"{why}data must be {wanted} or an iterable of batches, got {type(data).__name__}")
