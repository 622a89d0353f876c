"""Judgements at every timestep, added up over batches: decisions, errors, or a metric of the user's own.

All sums are exact (``exact_sums``): the order in which batches come, and which process judged them, does not matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from ..convert.output_judging import Spread, decision, missed, single
from ..errors import InputError
from ..exact_sums import ExactSums
from .targets import UNLABELLED, labels_of, values_of

Metric = Callable[[Any, Any], Tensor]
"""(output, target) -> one score per sample, ``(N,)``; higher or lower is better as the user likes."""


class Curves(ABC):
    """What is judged, up to each timestep.

    Args:
        total: How many timesteps.

    Attributes:
        sums: What is added up, by name.
        spreads: Of the values that are wanted, by name, where errors are judged.
    """

    metric = "accuracy"
    judged = ""

    def __init__(self, total: int) -> None:
        self.total = total
        self.sums: dict[str, ExactSums] = {}
        self.spreads: dict[str, Spread] = {}
        self._steps: dict[str, NDArray[np.float64]] = {}

    @abstractmethod
    def another(self) -> Self:
        """One of the same kind that has seen nothing."""

    def wanted(self, target: Any, output: Any) -> Any:
        """The targets of a batch in the form in which they are compared with outputs like this one."""
        return target

    @abstractmethod
    def ann(self, expected: Any, target: Any) -> None:
        """A batch of the ANN's."""

    @abstractmethod
    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        """A piece of a batch, after t + 1 steps, each of which comes once; ``expected`` and ``twin`` may be None."""

    def add(self, piece: Curves) -> None:
        """A piece of a batch that another one has seen."""
        for name, values in piece._steps.items():
            self._sum(name, values)

    def join(self, other: Curves) -> None:
        """All batches that another one has seen."""
        for name, sums in other.sums.items():
            self.sums.setdefault(name, ExactSums(sums.shape)).join(sums)
        for name, spread in other.spreads.items():
            self.spreads.setdefault(name, Spread()).join(spread)

    @abstractmethod
    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        """The fields of ``Evaluation`` that it fills, of so many samples; whether with an ANN and with a twin."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What is judged, in what JSON can hold: what ``curves_of`` makes one of the same kind from."""

    def as_dict(self) -> dict[str, Any]:
        """What was added up, and ``about``, in what JSON can hold."""
        return {
            "about": self.about(),
            "sums": {name: sums.as_dict() for name, sums in self.sums.items()},
            "spreads": {name: spread.as_dict() for name, spread in self.spreads.items()},
        }

    def fill(self, found: Mapping[str, Any]) -> None:
        """Take over what ``as_dict`` gave.

        Raises:
            KeyError, TypeError, ValueError: something else.
        """
        self.sums = {name: ExactSums.from_dict(sums) for name, sums in found["sums"].items()}
        self.spreads = {name: Spread.from_dict(spread) for name, spread in found["spreads"].items()}

    def _sum(self, name: str, values: Any) -> None:
        numbers = np.asarray(values, dtype=np.float64)
        self.sums.setdefault(name, ExactSums(numbers.shape)).add(numbers)

    def _at(self, name: str, t: int, value: Any, shape: tuple[int, ...] = ()) -> None:
        if name not in self._steps:
            self._steps[name] = np.zeros((self.total, *shape))
        self._steps[name][t] = value


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

    def about(self) -> dict[str, Any]:
        return {"kind": "decisions", "border": self.border, "alone": self.alone}

    def another(self) -> Decisions:
        return Decisions(self.total, self.border, self.alone)

    def wanted(self, target: Any, output: Any) -> Tensor:
        found = single(output)
        assert found is not None
        return labels_of(target, found, self.border)

    def ann(self, expected: Any, target: Any) -> None:
        right, labelled = self._right(self._decided(expected), target)
        self._sum("ann_right", right)
        self._sum("ann_labelled", labelled)

    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        decided = self._decided(output)
        right, labelled = self._right(decided, target)
        self._at("right", t, right)
        self._at("labelled", t, labelled)
        for name, other in (("agreed", expected), ("kept", twin)):
            if other is not None:
                alike = int((decided == self._decided(other)).sum())
                positions = max(1, decided.numel() // max(1, len(decided)))
                self._at(name, t, alike / positions)

    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        found = {name: sums.rounded() for name, sums in self.sums.items()}
        if not found["labelled"].all():
            raise InputError(f"all labels are {UNLABELLED}, so there is nothing to judge")
        return {
            "accuracy": found["right"] / found["labelled"],
            "ann_accuracy": float(found["ann_right"] / found["ann_labelled"]) if compared else None,
            "agreement": found["agreed"] / seen if compared else None,
            "float32_agreement": found["kept"] / seen if twin else None,
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
    judged = "R2 and error are means over outputs; the error is in units of the standard deviation"

    def about(self) -> dict[str, Any]:
        return {"kind": "errors"}

    def another(self) -> Errors:
        return Errors(self.total)

    def wanted(self, target: Any, output: Any) -> Tensor:
        found = single(output)
        assert found is not None
        values = values_of(target, found)
        self.spreads.setdefault("targets", Spread()).add(values)
        return values

    def ann(self, expected: Any, target: Any) -> None:
        found = single(expected)
        assert found is not None
        self.spreads.setdefault("expected", Spread()).add(found)
        self._sum("ann_off", missed(found, target))

    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        found = single(output)
        assert found is not None
        for name, other in (("off", target), ("off_ann", single(expected))):
            if other is not None:
                errors = missed(found, other)
                self._at(name, t, errors, tuple(errors.shape))

    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        return {
            "accuracy": 1 - self._share("targets", "off"),
            "ann_accuracy": float(1 - self._share("targets", "ann_off")) if compared else None,
            "error": np.sqrt(self._share("expected", "off_ann")) if compared else None,
        }

    def _share(self, of: str, off: str) -> NDArray[np.float64]:
        return self.spreads[of].share(torch.from_numpy(self.sums[off].rounded())).numpy()


class Scores(Curves):
    """The mean of the user's own metric.

    Args:
        total: How many timesteps.
        score: The metric, or its name, if nothing is to be judged any more.
    """

    def __init__(self, total: int, score: Metric | str) -> None:
        super().__init__(total)
        self.score = score
        self.metric = score if isinstance(score, str) else getattr(score, "__name__", "metric")

    def about(self) -> dict[str, Any]:
        return {"kind": "scores", "metric": self.metric}

    def another(self) -> Scores:
        return Scores(self.total, self.score)

    def ann(self, expected: Any, target: Any) -> None:
        self._sum("ann_scores", self._scored(expected, target))

    def step(self, t: int, output: Any, target: Any, expected: Any, twin: Any) -> None:
        self._at("scores", t, self._scored(output, target))

    def result(self, seen: int, compared: bool, twin: bool) -> dict[str, Any]:
        found = {name: sums.rounded() / seen for name, sums in self.sums.items()}
        return {"accuracy": found["scores"], "ann_accuracy": float(found["ann_scores"]) if compared else None}

    def _scored(self, output: Any, target: Any) -> float:
        assert callable(self.score)
        found = self.score(output, target)
        n = next((len(x) for x in pytree.tree_leaves(output) if isinstance(x, Tensor) and x.dim()), 1)
        if not isinstance(found, Tensor) or found.shape != (n,):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(f"a metric must give one score per sample, a tensor ({n},); got {shape}")
        return float(found.sum())


def curves_of(about: Mapping[str, Any], total: int, score: Metric | None = None) -> Curves:
    """Curves of this kind that have seen nothing.

    Args:
        about: As ``Curves.about`` gives it.
        total: How many timesteps.
        score: The user's metric, if something is still to be judged by it.

    Raises:
        KeyError: something else.
    """
    if about["kind"] == "scores":
        return Scores(total, score or str(about["metric"]))
    if about["kind"] == "errors":
        return Errors(total)
    return Decisions(total, float(about["border"]), bool(about["alone"]))
