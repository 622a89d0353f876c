"""The network's outputs beside the ANN's."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...convert.graph import BATCH, Graph, Ref
from ...convert.output_judging import border, decision, is_single_score, probability
from .walks import Batch


class Compared(NamedTuple):
    """What a piece of a batch adds to ``Outputs``.

    Attributes:
        samples: How many it has.
        squares: Of the SNN's error and of what is propagated, ``(2,)``.
        moments: Σ and Σ² over samples of each of the ANN's values, ``(2, ...)``, one tensor for each output.
        agreed: Samples on which SNN and ANN decide alike, or shares of them; None if they do not decide.
        answers: The first, the lowest and the highest of the ANN's answers.
    """

    samples: int
    squares: Tensor
    moments: list[Tensor]
    agreed: float | None
    answers: tuple[int, int, int]


class Outputs:
    """Holds the network's outputs against the ANN's: those that begin with the samples.

    Args:
        graph: The network's.
    """

    def __init__(self, graph: Graph) -> None:
        named = [(i, x.name) for i, x in enumerate(graph.outputs) if isinstance(x, Ref)]
        self.judged = [i for i, name in named if (graph.shape(name) or (1,))[0] is BATCH]
        self.samples = 0
        self.graph = graph
        self.answer: int | None = None  # the first one that the ANN gives
        self.varies = False
        self.agreed: float | None = 0.0
        self.squares = torch.zeros(2, dtype=torch.float64)
        self.moments: list[Tensor] = []

    def of(self, batch: Batch, n: int) -> Compared:
        """What a piece of a batch adds."""
        ann, own, snn = batch.outputs
        kept = [i for i in self.judged if isinstance(ann[i], Tensor) and ann[i].is_floating_point()]
        squares, moments = torch.zeros(2, dtype=torch.float64), []
        for i in kept:
            wanted = ann[i].double().cpu()
            moments.append(torch.stack([wanted.sum(0), wanted.square().sum(0)]))
            squares += torch.stack([(x[i].double().cpu() - wanted).square().sum() for x in (snn, own)])
        tensors = [(a, s) for a, s in zip(ann, snn, strict=True) if isinstance(a, Tensor)]
        one = len(tensors) == 1 and (probability(self.graph) or not is_single_score(tensors[0][0]))
        answer, found = [decision(x, border(self.graph)) for x in tensors[0]] if one else [None, None]
        if answer is None or found is None:
            return Compared(n, squares, moments, None, (0, 0, 0))
        agreed = float(answer.eq(found).double().mean()) * n
        answers = int(answer.flatten()[0]), int(answer.min()), int(answer.max())
        return Compared(n, squares, moments, agreed, answers)

    def add(self, piece: Compared) -> None:
        """Add it; pieces come in the order of the samples."""
        self.samples += piece.samples
        self.squares = self.squares + piece.squares
        before = self.moments or [torch.zeros_like(x) for x in piece.moments]
        self.moments = [a + b for a, b in zip(before, piece.moments, strict=True)]
        if piece.agreed is None or self.agreed is None:
            self.agreed = None
            return
        self.agreed += piece.agreed
        first, *others = piece.answers
        self.answer = first if self.answer is None else self.answer
        self.varies |= any(x != self.answer for x in others)

    @property
    def agreement(self) -> float | None:
        return None if self.agreed is None or not self.varies else self.agreed / self.samples

    @property
    def error(self) -> float:
        return self._relative(0)

    @property
    def propagated(self) -> float:
        return self._relative(1)

    def _relative(self, which: int) -> float:
        spread = sum(float((squares - total.square() / self.samples).sum()) for total, squares in self.moments)
        return math.sqrt(float(self.squares[which]) / spread) if spread > 0 else 0.0
