"""How far a network's outputs are from the ANN's, as a number with gradients.

Scores are compared by what they say of each class, the Kullback-Leibler divergence from the ANN's probabilities
(Hinton et al., "Distilling the knowledge in a neural network", 2015), and besides by their values. Outputs that are no
scores are compared by values alone: the squared error in units of the variance of the ANN's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..convert.errors import ConversionError
from ..convert.graph import Graph
from ..convert.held_back import OutputTally, with_samples
from ..convert.output_judging import Spread, is_single_score, last_operation

VALUES = 0.5
"""Weight of the squared error of scores beside their divergence."""


class Distillation:
    """The loss of a batch of outputs against the ANN's.

    Args:
        graph: The ANN's.
        wanted: What it gives for some samples, batch by batch.
        labelled: Whether there are class numbers too, so that whatever has several channels is scores.

    Attributes:
        scores: Places of the outputs that are compared as scores.
        values: Places of the outputs that are compared by values alone.

    Raises:
        ConversionError: no output is of real numbers that begin with the samples and vary.
    """

    def __init__(self, graph: Graph, wanted: Sequence[Sequence[Tensor]], labelled: bool = False) -> None:
        self.scales: dict[int, float] = {}
        self.scores: list[int] = []
        self.values: list[int] = []
        self.certain = last_operation(graph) in ("aten.softmax.int", "aten._softmax.default")
        for i in with_samples(graph):
            if not wanted[0][i].is_floating_point():
                continue
            tally, spread = OutputTally(graph), Spread()
            for outputs in wanted:
                tally.add(outputs[i], outputs[i])
                spread.add(outputs[i])
            if not bool(spread.varies.any()):
                continue
            self.scales[i] = float(spread.variance)
            several = not is_single_score(wanted[0][i]) and wanted[0][i].dim() > 1
            told = labelled or tally.agreement is not None
            (self.scores if several and told else self.values).append(i)
        if not self.scales:
            raise ConversionError(
                "fine-tuning needs outputs of real numbers that begin with the samples and are not the same for all; "
                "end the network before it decides (argmax) or takes a mean over the batch"
            )

    def __call__(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        """The loss, a scalar: 0 where both are the same."""
        total = torch.zeros((), device=found[0].device)
        for i in self.scores:
            a, b = (x.clamp(min=1e-12).log() if self.certain else x.log_softmax(1) for x in (found[i], wanted[i]))
            positions = a.numel() / a.shape[1]
            total = (
                total
                + F.kl_div(a, b, log_target=True, reduction="sum") / positions
                + VALUES * self._apart(i, found, wanted)
            )
        for i in self.values:
            total = total + self._apart(i, found, wanted)
        return total / len(self.scales)

    def _apart(self, i: int, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        return (found[i] - wanted[i]).square().mean() / self.scales[i]

    def of_labels(self, found: Sequence[Tensor], target: Tensor) -> Tensor:
        """Cross entropy of the first scores with class numbers ``(N, ...)``, or probabilities of the output's shape.

        Raises:
            ConversionError: no output is compared as scores, or labels that are none of them.
        """
        if not self.scores:
            raise ConversionError(
                "labels need an output of scores, (N, K, ...) for K classes; with labels=0 it learns from the ANN alone"
            )
        x = found[self.scores[0]]
        if self.certain:
            x = x.clamp(min=1e-12).log()
        return F.cross_entropy(x, _labels(target, x))


def _labels(target: Tensor, scores: Tensor) -> Tensor:
    """Class numbers or probabilities, as ``cross_entropy`` takes them for scores ``(N, K, ...)``."""
    k, places = scores.shape[1], (len(scores), *scores.shape[2:])
    if target.shape == scores.shape:
        target = target.float()
        if not bool((target.isfinite() & (target >= 0)).all()):
            raise ConversionError("labels that are probabilities must be finite and not negative")
        return target
    if target.shape != places:
        raise ConversionError(
            f"labels must be class numbers of shape {places}, or probabilities of shape {tuple(scores.shape)}; got "
            f"{tuple(target.shape)}"
        )
    if not bool(((target >= 0) & (target < k) & (target == target.long())).all()):
        raise ConversionError(f"labels must be whole numbers from 0 to {k - 1}, as the network has {k} classes")
    return target.long()
