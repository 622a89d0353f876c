"""The data the reference networks are judged on, as tensors: images in [0, 1], and MNIST as an event camera sees it.

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
from .event_frames import EventFrames

if TYPE_CHECKING:
    from os import PathLike

_TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
_EVENTS = "mnist_events"
SHIPPED = ("mnist", _EVENTS)
"""Data sets whose test part ships in the package, and 512 training samples for calibration."""


def load(
    name: str, *, train: bool = False, data_dir: str | PathLike[str] | None = None, timesteps: int | None = None
) -> TensorDataset | EventFrames:
    """Inputs and labels of a data set.

    Args:
        name: ``"mnist"``, ``"fashion_mnist"`` or ``"mnist_events"``, MNIST filmed by an event camera.
        train: The training part rather than the test part.
        data_dir: Directory for torchvision's data sets; missing ones are downloaded into it. Without it only the MNIST
            test images are available, which ship in the package.
        timesteps: Of ``"mnist_events"``: the number of frames, a divisor of 300; None: events of the whole recording.

    Returns:
        Images ``(N, 1, 28, 28)``, float32 in [0, 1]; of ``"mnist_events"`` frames ``(N, T, 2, 34, 34)``, or without
        ``timesteps`` ``(N, 2, 34, 34)``, events for each 10 ms, filmed when they are asked for. Labels ``(N,)``, int64.

    Raises:
        ValueError: an unknown name, a part that does not ship and no ``data_dir`` given, or ``timesteps`` for images
            that hold still, or that do not divide 300.
    """
    source = "mnist" if name == _EVENTS else name
    if source not in _TORCHVISION:
        raise InputError(f"unknown data set {name!r}; known: {', '.join([*_TORCHVISION, _EVENTS])}")
    if timesteps is not None and name != _EVENTS:
        raise InputError(f"{name} has no frames; timesteps are for {_EVENTS}")
    if data_dir is None:
        if train or name not in SHIPPED:
            part = "training" if train else "test"
            raise InputError(f"the {part} part of {name} does not ship with respike; pass data_dir (--data-dir)")
        images, labels = _read_idx("mnist-test-images.gz"), _read_idx("mnist-test-labels.gz")
    else:
        from torchvision import datasets

        data = getattr(datasets, _TORCHVISION[source])(Path(data_dir), train=train, download=True)
        images, labels = data.data, data.targets
    if name == _EVENTS:
        return EventFrames(_images(images), labels.long(), timesteps)
    return TensorDataset(_images(images), labels.long())


def calibration(name: str = "mnist", timesteps: int | None = None) -> Tensor:
    """512 MNIST training images without labels.

    Args:
        name: ``"mnist"`` or ``"mnist_events"``.
        timesteps: As for ``load``.

    Returns:
        ``(512, 1, 28, 28)``, float32 in [0, 1]; of ``"mnist_events"`` ``(512, T, 2, 34, 34)`` or ``(512, 2, 34, 34)``,
        as ``load`` gives them.

    Raises:
        ValueError: another name, or ``timesteps`` as for ``load``.
    """
    if name not in SHIPPED:
        raise InputError(f"no calibration data of {name!r} ship, only of {' and '.join(SHIPPED)}")
    if timesteps is not None and name != _EVENTS:
        raise InputError(f"{name} has no frames; timesteps are for {_EVENTS}")
    images = _images(_read_idx("mnist-calibration-images.gz"))
    if name == "mnist":
        return images
    return EventFrames(images, torch.zeros(len(images)), timesteps)[:][0]


def _images(raw: Tensor) -> Tensor:
    return raw.unsqueeze(1).to(torch.float32) / 255


def _read_idx(file: str) -> Tensor:
    """An idx file (the MNIST format): two zero bytes, a type code, the rank, big-endian sizes, bytes."""
    packed = (resources.files("respike.models") / "data" / file).read_bytes()
    raw = gzip.decompress(packed)
    rank = raw[3]
    sizes = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return torch.frombuffer(bytearray(raw[4 + 4 * rank :]), dtype=torch.uint8).reshape(sizes)
