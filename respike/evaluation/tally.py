"""What an evaluation adds up over samples: whole numbers and exact sums, so that it can be split and joined at will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from .activity import ActivityCounter
from .curves import Curves, curves_of
from .layer_activity import Curve, LayerActivity, per_sample

_LOOKED_AT = 2**10
"""Values of each tensor of a sample that tell it from others, evenly spread."""
_MARKS = 2**64
SKETCH = 256
"""Marks that are kept, the smallest ones: two sets of samples have some of them in common if they overlap (bottom-k
sketches; Cohen and Kaplan, PODC 2007)."""


class Tally:
    """What was added up of some samples.

    Args:
        curves: Their judgements.

    Attributes:
        samples: How many.
        layers: What layers did up to each timestep, ``(3, T)`` by name: spikes, synaptic operations, and operations
            without a synapse; whole numbers, exact up to 2**53, 9e15.
        input_macs: Multiply-accumulates on inputs that are not zero.
        ann_macs: Multiply-accumulates that the ANN did.
        ann_needed: Those of them whose value is not zero.
        data: The sum of the samples' marks: tells these samples from others, in whatever order and batches they came.
        sketch: The smallest of the marks, in order.
    """

    def __init__(self, curves: Curves) -> None:
        self.curves = curves
        self.samples = self.input_macs = self.ann_macs = self.ann_needed = self.data = 0
        self.layers: dict[str, Curve] = {}
        self.sketch = np.zeros(0, dtype=np.uint64)

    def count(self, counter: ActivityCounter) -> None:
        """Count as well what layers did for a piece of a batch."""
        self._count(counter.totals())

    def see(self, batch: Any) -> None:
        """Note which samples there are in a batch of inputs and targets."""
        marks = _marks(batch)
        self.data = (self.data + int(marks.sum(dtype=np.uint64))) % _MARKS
        self._keep(marks)

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        return {
            "samples": self.samples,
            "data": f"{self.data:016x}",
            "sketch": [f"{mark:016x}" for mark in self.sketch.tolist()],
            "input_macs": self.input_macs,
            "ann_macs": self.ann_macs,
            "ann_needed": self.ann_needed,
            "layers": {name: totals.astype(np.int64).tolist() for name, totals in self.layers.items()},
            "curves": self.curves.as_dict(),
        }

    def join(self, found: Mapping[str, Any]) -> None:
        """Add up as well what ``as_dict`` of another one gave.

        Raises:
            KeyError, TypeError, ValueError: something else.
        """
        self.samples += int(found["samples"])
        self.data = (self.data + int(found["data"], 16)) % _MARKS
        self._keep(np.array([int(mark, 16) for mark in found["sketch"]], dtype=np.uint64))
        self.input_macs += int(found["input_macs"])
        self.ann_macs += int(found["ann_macs"])
        self.ann_needed += int(found["ann_needed"])
        self._count({name: np.array(totals, dtype=np.float64) for name, totals in found["layers"].items()})
        other = self.curves.another()
        other.fill(found["curves"])
        self.curves.join(other)

    def results(self, layers: Sequence[LayerActivity], ann_macs: int, always: int, compared: bool, twin: bool) -> Any:
        """The fields of ``Evaluation`` that depend on the samples, by name.

        Args:
            layers: What the layers are.
            ann_macs: Of the ANN per sample.
            always: Multiply-accumulates per sample that inputs always need.
            compared: Whether there was an ANN.
            twin: Whether there was a run in float32.

        Raises:
            InputError: there is nothing to judge.
        """
        active = per_sample(layers, self.layers, self.samples)
        whole = compared and self.ann_macs == ann_macs * self.samples
        return {
            "samples": self.samples,
            "spikes": np.sum([layer.spikes for layer in active if layer.kind == "spike"], axis=0),
            "synops": np.sum([layer.synops for layer in active], axis=0),
            "input_macs": always + self.input_macs / self.samples,
            "ann_needed_macs": self.ann_needed / self.samples if whole else None,
            "layers": active,
            **self.curves.result(self.samples, compared, twin),
        }

    def _keep(self, marks: NDArray[np.uint64]) -> None:
        self.sketch = np.unique(np.concatenate([self.sketch, marks]))[:SKETCH]

    def _count(self, totals: Mapping[str, Curve]) -> None:
        for name, more in totals.items():
            self.layers[name] = self.layers[name] + more if name in self.layers else more


def tally_of(found: Mapping[str, Any], total: int) -> Tally:
    """A tally from what ``as_dict`` gave, of so many timesteps.

    Raises:
        KeyError, TypeError, ValueError: something else.
    """
    made = Tally(curves_of(found["curves"]["about"], total))
    made.join(found)
    return made


def _marks(batch: Any) -> NDArray[np.uint64]:
    """A mark of each sample of a batch: a hash of its values, whatever their types."""
    marks: NDArray[np.uint64] | None = None
    for x in pytree.tree_leaves(batch):
        if not isinstance(x, Tensor) or not x.dim() or x.is_complex():
            continue
        values = x.detach().reshape(len(x), -1)
        values = values[:, :: max(1, values.shape[1] // _LOOKED_AT)].double().cpu()
        numbers = (values + 0.0).contiguous().numpy().view(np.uint64)  # 0.0 and -0.0 are the same
        weights = np.random.default_rng(numbers.shape[1]).integers(2**63, size=numbers.shape[1], dtype=np.uint64)
        found = _mixed((_mixed(numbers) * (2 * weights + 1)).sum(1, dtype=np.uint64))
        marks = found if marks is None or len(marks) != len(found) else _mixed(marks * np.uint64(3) + found)
    return np.zeros(0, dtype=np.uint64) if marks is None else marks


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each bit of a number in all others: the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: NDArray[np.uint64] = numbers ^ (numbers >> np.uint64(31))
    return found
