"""Least squares with a penalty: which λ, and which rows count when a ReLU follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import inf

import torch
from torch import Tensor

from .gathered_rows import Chunk
from .normal_equations import ByInputs, ByRows, Solver

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""λ in units of the inputs' mean square."""
SWEEPS = 3
"""Turns of expectation and maximisation on the rows that are fitted first."""


class Problem:
    """The change of weights and bias with the least squared error, for several λ. The bias has no penalty.

    Args:
        chunks: The rows; read again and again.
        shape: Groups, inputs and outputs of each, (G, K, outputs).
        device: Theirs.
        rectified: Whether a ReLU follows: a target is missing where neither it nor the current is positive.
        cap: Upper bound of what counts.
        solver: By the Gram matrix of inputs or of rows.
    """

    def __init__(
        self,
        chunks: Callable[[], Iterator[Chunk]],
        shape: tuple[int, int, int],
        device: torch.device,
        rectified: bool,
        cap: float | None,
        solver: Solver = ByInputs,
    ) -> None:
        self.chunks, self.shape, self.device, self.rectified, self.cap = chunks, shape, device, rectified, cap
        self.solver = solver

    @cached_property
    def _equations(self) -> ByInputs | ByRows:
        return self.solver(self.chunks(), self.shape, self.device)

    def nothing(self) -> Tensor:
        """No change, ``(G, K + 1, outputs)``, the bias last."""
        groups, inputs, outputs = self.shape
        return torch.zeros(groups, inputs + 1, outputs, device=self.device)

    def at_once(self) -> list[Tensor]:
        """No change, one of the bias alone, and one for each λ."""
        return [self.nothing(), *self._equations.solutions(self._missing(None), (inf, *STRENGTHS))]

    def in_turns(self, change: Tensor, strength: float, sweeps: int = SWEEPS) -> Tensor:
        """That of this λ in turns with what is then missing, as that depends on what there is."""
        for _ in range(sweeps if self.rectified else 0):
            (change,) = self._equations.solutions(self._missing(change), [strength])
        return change

    def errors(self, changes: list[Tensor]) -> Tensor:
        """Sum of squares of each output, ``(changes, G, outputs)``; infinite where a change is not finite."""
        found = torch.zeros(len(changes), *self.nothing()[:, 0].shape, dtype=torch.double, device=self.device)
        for chunk in self.chunks():
            for k, change in enumerate(changes):
                pair = chunk.given + _response(chunk, change), chunk.wanted
                now, wanted = (x.clamp(min=0, max=self.cap) for x in pair) if self.rectified else pair
                found[k] += chunk.weight * (now - wanted).square().sum(1, dtype=torch.double)
        return found.nan_to_num(nan=torch.inf)

    def _missing(self, change: Tensor | None) -> Iterator[tuple[Chunk, Tensor]]:
        """What is missing of each row's target, once there is this change already."""
        for chunk in self.chunks():
            missing = chunk.wanted - chunk.given
            if self.rectified:
                now = torch.zeros((), device=self.device) if change is None else _response(chunk, change)
                missing = torch.where((chunk.wanted > 0) | (chunk.given + now > 0), missing, now)
            yield chunk, missing


def _response(chunk: Chunk, change: Tensor) -> Tensor:
    """The current that a change adds."""
    return torch.baddbmm(change[:, -1:], chunk.inputs, change[:, :-1])
