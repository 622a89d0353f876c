"""Judgements at every timestep, added up over batches: decisions, errors, or a metric of the user's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..convert.output_judging import Spread, decision, missed, single
from ..errors import InputError
from .targets import UNLABELLED, labels_of, values_of

Metric = Callable[[Any, Any], Tensor]
"""(output, target) -> one score per sample, ``(N,)``; higher or lower is better as the user likes."""


class Curves(ABC):
    """What is judged, up to each timestep.

    Args:
        total: How many timesteps.
    """

    metric = "accuracy"
    judged = ""

    def __init__(self, total: int) -> None:
        self.total = total

    @abstractmethod
    def another(self) -> Curves:
        """One of the same kind that has seen nothing."""

    def wanted(self, target: Any, output: Any) -> Any:
        """The targets of a batch in the form in which they are compared with outputs like this one."""
        return target

    @abstractmethod
    def ann(self, expected: Any, target: Any) -> None:
        """A batch of the ANN's."""

    @abstractmethod
    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        """A piece of a batch, after t + 1 steps; ``expected`` and ``twin`` may be None."""

    @abstractmethod
    def add(self, other: Any) -> None:
        """What another one has seen."""

    @abstractmethod
    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        """The fields of ``Evaluation`` that it fills, of so many samples; whether with an ANN and with a twin."""


class Decisions(Curves):
    """How often it is right, and decides as the ANN and as in float32.

    Args:
        total: How many timesteps.
        border: Above which a single score decides for class 1.
        alone: Whether there is a single score.
    """

    def __init__(self, total: int, border: float, alone: bool) -> None:
        super().__init__(total)
        self.border, self.alone = border, alone
        if alone:
            rule = "whether the output is above 0.5" if border else "the sign of the output"
            self.judged = f"the class is {rule}"
        self.right, self.labelled = np.zeros(total), np.zeros(total)
        self.agreed, self.kept = np.zeros(total), np.zeros(total)
        self.ann_right = self.ann_labelled = 0.0

    def another(self) -> Decisions:
        return Decisions(self.total, self.border, self.alone)

    def wanted(self, target: Any, output: Any) -> Tensor:
        found = single(output)
        assert found is not None
        return labels_of(target, found, self.border)

    def ann(self, expected: Any, target: Any) -> None:
        right, labelled = self._right(self._decided(expected), target)
        self.ann_right, self.ann_labelled = self.ann_right + right, self.ann_labelled + labelled

    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        decided = self._decided(output)
        right, labelled = self._right(decided, target)
        self.right[t] += right
        self.labelled[t] += labelled
        for counts, other in ((self.agreed, expected), (self.kept, twin)):
            if other is not None:
                counts[t] += float((decided == self._decided(other)).double().mean()) * len(decided)

    def add(self, other: Decisions) -> None:
        self.right, self.labelled = self.right + other.right, self.labelled + other.labelled
        self.agreed, self.kept = self.agreed + other.agreed, self.kept + other.kept

    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        if not self.labelled.all():
            raise InputError(f"all labels are {UNLABELLED}, so there is nothing to judge")
        return {
            "accuracy": self.right / self.labelled,
            "ann_accuracy": self.ann_right / self.ann_labelled if compared else None,
            "agreement": self.agreed / seen if compared else None,
            "float32_agreement": self.kept / seen if twin else None,
        }

    def _decided(self, output: Any) -> Tensor:
        found = decision(output, self.border)
        assert found is not None
        return found

    @staticmethod
    def _right(decided: Tensor, labels: Tensor) -> tuple[float, float]:
        """Sum over samples of the share of right answers, and how many samples have a label."""
        there = labels != UNLABELLED
        counts = there.flatten(1).sum(1) if there.dim() > 1 else there.long()
        hits = (decided == labels) & there
        hits = hits.flatten(1).sum(1) if hits.dim() > 1 else hits
        return float((hits.double() / counts.clamp(min=1)).sum()), float((counts > 0).sum())


class Errors(Curves):
    """R² against the targets, and the relative error against the ANN."""

    metric = "R2"

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.targets, self.expected = Spread(), Spread()
        self.off: Any = 0.0  # squared errors against the targets and the ANN, (2, T, K)
        self.ann_off: Any = 0.0
        self.count = 0
        self.judged = "R2 and error are means over outputs; the error is in units of the standard deviation"

    def another(self) -> Errors:
        return Errors(self.total)

    def wanted(self, target: Any, output: Any) -> Tensor:
        found = single(output)
        assert found is not None
        values = values_of(target, found)
        self.targets.add(values)
        return values

    def ann(self, expected: Any, target: Any) -> None:
        found = single(expected)
        assert found is not None
        self.expected.add(found)
        self.ann_off = self.ann_off + missed(found, target)

    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        found, ann = single(output), single(expected)
        assert found is not None
        off = [missed(found, other) for other in (target, ann) if other is not None]
        if isinstance(self.off, float):
            self.off = torch.zeros(2, self.total, len(off[0]), dtype=torch.float64)
        for k, value in enumerate(off):
            self.off[k, t] += value

    def add(self, other: Errors) -> None:
        self.off = self.off + other.off

    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        against, ann = self.off
        return {
            "accuracy": (1 - self.targets.share(against)).numpy(),
            "ann_accuracy": float(1 - self.targets.share(self.ann_off)) if compared else None,
            "error": self.expected.share(ann).sqrt().numpy() if compared else None,
        }


class Scores(Curves):
    """The mean of the user's own metric."""

    def __init__(self, total: int, score: Metric) -> None:
        super().__init__(total)
        self.score = score
        self.metric = getattr(score, "__name__", "metric")
        self.sums, self.ann_sum = np.zeros(total), 0.0

    def another(self) -> Scores:
        return Scores(self.total, self.score)

    def ann(self, expected: Any, target: Any) -> None:
        self.ann_sum += self._sum(expected, target)

    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        self.sums[t] += self._sum(output, target)

    def add(self, other: Scores) -> None:
        self.sums = self.sums + other.sums

    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        return {"accuracy": self.sums / seen, "ann_accuracy": self.ann_sum / seen if compared else None}

    def _sum(self, output: Any, target: Any) -> float:
        found = self.score(output, target)
        n = next((len(x) for x in pytree.tree_leaves(output) if isinstance(x, Tensor) and x.dim()), 1)
        if not isinstance(found, Tensor) or found.shape != (n,):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(f"a metric must give one score per sample, a tensor ({n},); got {shape}")
        return float(found.sum())
