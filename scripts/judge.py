"""What the benchmarks judge networks on: the test images of a reference network, and what the ANN says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from respike.models import REGISTRY, datasets

CALIBRATION = 512


def data_of(name: str, data_dir: Path | None, draw: int = 0) -> tuple[Tensor, Dataset[Any]]:
    """Calibration images and the test images.

    Args:
        name: A reference network.
        data_dir: Directory for torchvision's data sets.
        draw: Seed with which calibration images are drawn from the training images; 0 with MNIST are those that ship.
    """
    source = REGISTRY[name].dataset
    test = datasets.load(source, data_dir=None if source in datasets.SHIPPED else data_dir)
    if source in datasets.SHIPPED and not draw:
        return datasets.calibration(source), test
    train = datasets.load(source, train=True, data_dir=data_dir)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(draw))[:CALIBRATION]
    return train[chosen.tolist()][0], test


class Judge:
    """The test images, and what the ANN says of them."""

    def __init__(self, ann: nn.Module, test: Dataset[Any], samples: int) -> None:
        self.images, self.labels = test[:samples]
        self.decided = self.decisions(ann)
        self.accuracy = self.share(self.decided, self.labels)

    @torch.no_grad()
    def decisions(self, network: Callable[[Tensor], Tensor]) -> Tensor:
        """The class with the highest score for each image."""
        return torch.cat([network(batch).argmax(1) for batch in self.images.split(100)])

    @staticmethod
    def share(found: Tensor, wanted: Tensor) -> float:
        """Percentage that is equal."""
        return 100 * float((found == wanted).double().mean())
