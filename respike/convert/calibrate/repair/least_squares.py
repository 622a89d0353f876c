"""Least squares with a penalty: which λ, and which rows count when a ReLU follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import inf

import torch
from torch import Tensor

from ....ranks import here
from .gathered_rows import Chunk
from .normal_equations import ByInputs, ByRows, Missing, Solver

STRENGTHS = (0.3, 0.03, 0.003)
"""λ in units of the inputs' mean square."""


Chunks = Callable[[], Iterator[Chunk]]
"""The rows; asked for again and again."""
Respond = Callable[[Chunk], Tensor]
"""The current that a change adds, ``(G, rows, outputs)``."""


class Problem:
    """The change of weights and bias with the least squared error, for several λ. The bias has no penalty.

    Changes are those of the solver, which ``as_weights`` spells out: one at a time is held, as they may be large.

    Args:
        chunks: The rows that are fitted.
        shape: Groups, inputs and outputs of each, (G, K, outputs).
        device: Theirs.
        rectified: Whether a ReLU follows: a target is missing where neither it nor the current is positive.
        solver: By the Gram matrix of inputs or of rows.
    """

    def __init__(
        self,
        chunks: Chunks,
        shape: tuple[int, int, int],
        device: torch.device,
        rectified: bool,
        solver: Solver = ByInputs,
    ) -> None:
        self.chunks, self.shape, self.device, self.rectified = chunks, shape, device, rectified
        self.solver = solver

    @cached_property
    def equations(self) -> ByInputs | ByRows:
        """The Gram matrix; gathered once."""
        return self.solver(self.chunks(), self.shape, self.device)

    def at_once(self) -> Iterator[Tensor]:
        """No change, one of the bias alone, and one for each λ."""
        groups, _, outputs = self.shape
        yield torch.zeros(groups, self.equations.size + 1, outputs, device=self.device)
        yield from self.equations.solutions(self._missing(None), (inf, *STRENGTHS))

    def again(self, respond: Respond, strength: float) -> Tensor:
        """The change of this λ for what is missing once another has responded."""
        (change,) = self.equations.solutions(self._missing(respond), [strength])
        return change

    def response_of(self, change: Tensor) -> Respond:
        """The current that a change adds."""
        equations = self.equations
        return lambda chunk: torch.baddbmm(change[:, -1:], equations.features(chunk.inputs), change[:, :-1])

    def errors(self, change: Tensor, judged: Chunks, cap: float | None) -> Tensor:
        """Sum of squares of each output, ``(G, outputs)``; infinite where a change is not finite.

        Args:
            change: Of this problem.
            judged: The rows that count.
            cap: Upper bound of what counts.
        """
        groups, _, outputs = self.shape
        found = torch.zeros(groups, outputs, dtype=torch.double, device=self.device)
        respond = self.response_of(change)

        def squares(chunk: Chunk) -> tuple[float, Tensor]:
            # In place where it can be: memory for another result takes as long as the arithmetic.
            now, wanted = respond(chunk).add_(chunk.given), chunk.wanted
            if self.rectified:
                now, wanted = now.clamp_(min=0, max=cap), wanted.clamp(min=0, max=cap)
            return chunk.weight, now.sub_(wanted).square_().sum(1)

        for weight, error in here().divided(judged(), lambda some: map(squares, some)):
            found.add_(error.to(self.device), alpha=weight)
        return found.nan_to_num(nan=torch.inf)

    def _missing(self, respond: Respond | None) -> Missing:
        """What is missing of each row's target, once there is a change already."""

        def missing(chunk: Chunk) -> Tensor:
            found = chunk.wanted - chunk.given
            if self.rectified:
                now = torch.zeros((), device=self.device) if respond is None else respond(chunk)
                active = (chunk.given if respond is None else chunk.given + now) > 0
                active |= chunk.wanted > 0
                torch.where(active, found, now, out=found)
            return found

        return self.chunks(), missing


class Best:
    """For each output the change with the least error among those offered one by one; of equals the first.

    Attributes:
        change: That one.
        error: Its error.
    """

    def __init__(self, change: Tensor, error: Tensor) -> None:
        self.change, self.error = change, error

    def offer(self, change: Tensor, error: Tensor) -> None:
        """One more."""
        lower = error < self.error
        self.error = torch.where(lower, error, self.error)
        torch.where(lower[:, None], change, self.change, out=self.change)
