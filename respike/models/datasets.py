"""The data the reference networks are judged on, as tensors in [0, 1].

MNIST's 10,000 test images and 512 of its training images, without their labels, ship in the package;
everything else comes through torchvision's own loaders.
"""

from __future__ import annotations

import gzip
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..errors import InputError

if TYPE_CHECKING:
    from os import PathLike

_TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


def load(name: str, *, train: bool = False, data_dir: str | PathLike[str] | None = None) -> TensorDataset:
    """Images and labels of a data set.

    Args:
        name: ``"mnist"`` or ``"fashion_mnist"``.
        train: The training part rather than the test part.
        data_dir: Directory for torchvision's data sets; missing ones are downloaded into it. Without it only the MNIST
            test images are available, which ship in the package.

    Returns:
        Images ``(N, 1, 28, 28)``, float32 in [0, 1], and labels ``(N,)``, int64.

    Raises:
        ValueError: an unknown name, or a part that does not ship and no ``data_dir`` given.
    """
    if name not in _TORCHVISION:
        raise InputError(f"unknown data set {name!r}; known: {', '.join(_TORCHVISION)}")
    if data_dir is None:
        if name == "mnist" and not train:
            return TensorDataset(_images(_read_idx("mnist-test-images.gz")), _read_idx("mnist-test-labels.gz").long())
        part = "training" if train else "test"
        raise InputError(f"the {part} part of {name} does not ship with respike; pass data_dir (--data-dir)")
    from torchvision import datasets

    loader = getattr(datasets, _TORCHVISION[name])
    data = loader(Path(data_dir), train=train, download=True)
    return TensorDataset(_images(data.data), data.targets.long())


def calibration() -> Tensor:
    """512 MNIST training images without labels, ``(512, 1, 28, 28)``, float32 in [0, 1]."""
    return _images(_read_idx("mnist-calibration-images.gz"))


def _images(raw: Tensor) -> Tensor:
    return raw.unsqueeze(1).to(torch.float32) / 255


def _read_idx(file: str) -> Tensor:
    """An idx file (the MNIST format): two zero bytes, a type code, the rank, big-endian sizes, bytes."""
    packed = (resources.files("respike.models") / "data" / file).read_bytes()
    raw = gzip.decompress(packed)
    rank = raw[3]
    sizes = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return torch.frombuffer(bytearray(raw[4 + 4 * rank :]), dtype=torch.uint8).reshape(sizes)
