"""What fine-tuning is told, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..convert import checks

JUDGES = 2
"""Fewest samples that judge: of one, outputs do not vary."""


@dataclass(frozen=True)
class TrainingOptions:
    """The options of ``finetune`` that are numbers; see there.

    Raises:
        ConversionError: a number that cannot be used.
    """

    steps: int
    learning_rate: float
    batch_size: int
    labels: float
    held_back: int
    seed: int

    def __post_init__(self) -> None:
        checks.whole("steps", self.steps, 1)
        checks.number("learning_rate", self.learning_rate, ", above 0 and at most 1e30", above=0, most=1e30)
        checks.whole("batch_size", self.batch_size, 1)
        checks.number("labels", self.labels, ", 0 or more", low=0)
        checks.whole("held_back", self.held_back, JUDGES)
        checks.seed(self.seed)
