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
MOST = 1e30
"""Highest learning rate and weights."""
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
        def kept(name: str, value: float) -> None:
            object.__setattr__(self, name, value)  # as Python's numbers, which a file can hold

        for name, low in (("steps", 1), ("batch_size", 1), ("held_back", JUDGES)):
            kept(name, checks.whole(name, getattr(self, name), low))
        if self.learning_rate is not None:
            bounds = ", above 0 and at most 1e30"
            kept("learning_rate", checks.number("learning_rate", self.learning_rate, bounds, above=0, most=MOST))
        for name in ("labels", "hidden"):
            kept(name, float(checks.number(name, getattr(self, name), ", from 0 to 1e30", low=0, most=MOST)))
        kept("seed", checks.seed(self.seed))

    def rate(self, count: int) -> float:
        """The learning rate for so many samples."""
        if self.learning_rate is not None:
            return self.learning_rate
        return RATE_OF_FEW if count < FEW else RATE
