"""What fine-tuning is told, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..convert import checks

RATE, RATE_OF_FEW, FEW = 1e-3, 3e-4, 4096
"""Learning rates where none is given, and below how many samples that of few is taken.

From 512 images, which are seen again and again, 1e-3 is too much: at T = 2 the Fashion ResNet then decides as the ANN
on 89.7 % of other training images, with 3e-4 on 90.8 %, with 1e-4 on 90.2 % and untrained on 89.8 %.
"""
HIDDEN = 1.0
"""Weight of the hidden layers beside the outputs."""
JUDGES = 2
"""Fewest samples that judge: of one, outputs do not vary."""


@dataclass(frozen=True)
class TrainingOptions:
    """The options of ``finetune`` that are numbers; see there.

    Raises:
        ConversionError: a number that cannot be used.
    """

    steps: int
    learning_rate: float | None
    batch_size: int
    labels: float
    held_back: int
    seed: int
    hidden: float = HIDDEN

    def __post_init__(self) -> None:
        checks.whole("steps", self.steps, 1)
        if self.learning_rate is not None:
            checks.number("learning_rate", self.learning_rate, ", above 0 and at most 1e30", above=0, most=1e30)
        checks.whole("batch_size", self.batch_size, 1)
        checks.number("labels", self.labels, ", 0 or more", low=0)
        checks.whole("held_back", self.held_back, JUDGES)
        checks.seed(self.seed)
        checks.number("hidden", self.hidden, ", 0 or more", low=0)

    def rate(self, count: int) -> float:
        """The learning rate for so many samples."""
        if self.learning_rate is not None:
            return self.learning_rate
        return RATE_OF_FEW if count < FEW else RATE
