"""What fine-tuning is told, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingOptions:
    """The options of ``finetune`` that are numbers, checked; see there."""

    steps: int
    learning_rate: float
    batch_size: int
    labels: float
    held_back: int
    seed: int
