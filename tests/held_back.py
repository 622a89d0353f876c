"""Which of the samples that users give calibrate, and which judge: written down once more, for oracles."""

from __future__ import annotations

import torch
from torch import Tensor


def order(count: int, seed: int = 0) -> Tensor:
    """In which order the samples of a tensor or a data set are read."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def in_turn(x: Tensor) -> tuple[Tensor, Tensor]:
    """The samples that calibrate and those that judge, of samples that are read in this order."""
    judge = torch.arange(7, min(len(x), 512), 8)
    calibrates = torch.ones(len(x), dtype=torch.bool)
    calibrates[judge] = False
    return x[calibrates], x[judge]


def calibrating(x: Tensor, seed: int = 0) -> Tensor:
    """The samples of a tensor that calibrate, in the order in which they are read."""
    return in_turn(x[order(len(x), seed)])[0]


def judging(x: Tensor, seed: int = 0) -> Tensor:
    """The samples of a tensor that judge."""
    return in_turn(x[order(len(x), seed)])[1]


def all_calibrate(*batches: Tensor) -> list[Tensor]:
    """These batches with another sample wherever one is held back, so that all of theirs calibrate."""
    made, read = [], 0
    for batch in batches:
        rows: list[Tensor] = []
        for row in batch:
            if (read + len(rows)) % 8 == 7 and read + len(rows) < 512:
                rows.append(batch[0])
            rows.append(row)
        read += len(rows)
        made.append(torch.stack(rows))
    return made
