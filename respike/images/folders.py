"""Images in folders, one for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from ..source_names import SourceError
from .decoding import read_rgb

Transform = Callable[[Any], Tensor]
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"


def _read(path: str) -> Any:
    return read_rgb(Path(path), path)


def folder(path: Path, transform: Transform) -> Dataset[Any]:
    """Images in one subfolder for each class, which are numbered in the order of their names.

    Args:
        path: The folder.
        transform: From an RGB image to a tensor.

    Raises:
        SourceError: no such folder, or a subfolder without images.
    """
    from torchvision.datasets import ImageFolder

    try:
        found: Dataset[Any] = ImageFolder(str(path), transform, loader=_read)
    except (FileNotFoundError, NotADirectoryError, RuntimeError) as error:
        raise SourceError(f"{path} is not a folder with one subfolder of images per class: {error}") from error
    return found


def imagenet(path: Path, train: bool, transform: Transform) -> Dataset[Any]:
    """ImageNet (ILSVRC 2012) as torchvision keeps it, which unpacks the archives if that was not done yet.

    Args:
        path: The folder with the archives, or with ``train``, ``val`` and ``meta.bin``, which torchvision makes of
            them.
        train: The training images rather than the validation images.
        transform: From an RGB image to a tensor.

    Raises:
        SourceError: an archive that is needed is missing or damaged, or ``scipy``, which reads one of them.
    """
    from torchvision.datasets import ImageNet

    split = "train" if train else "val"
    if not path.is_dir():
        raise SourceError(f"there is no folder {path}; imagenet:DIR is the folder with ImageNet's archives")
    instead = (
        f". folder:{path / split} needs no archive: it takes the folders in {path / split} in the order of their names"
    )
    try:
        found: Dataset[Any] = ImageNet(str(path), split, transform=transform, loader=_read)
    except ModuleNotFoundError as error:
        raise SourceError(
            f"torchvision needs {error.name} to read {path / DEVKIT}: pip install {error.name}{instead}"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # damaged archives, and a damaged meta.bin, raise most things there are
        raise SourceError(
            f"{path} does not hold ImageNet's {split} images as torchvision expects them: {_reason(error, path, split)}"
            f"{instead}"
        ) from error
    return found


def _reason(error: Exception, path: Path, split: str) -> str:
    """What is missing, and where it should be."""
    meta, images = path / "meta.bin", path / f"ILSVRC2012_img_{split}.tar"
    if not meta.is_file() and not (path / DEVKIT).is_file():
        return f"there is no {path / DEVKIT}, the archive with the names of the classes (nor {meta}, made of it)"
    if not (path / split).is_dir() and not images.is_file():
        return f"there is neither a folder {path / split} nor {images}"
    return str(error).strip().partition("\n")[0] or type(error).__name__
