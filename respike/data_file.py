"""Inputs and targets in a file, read as data only."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from .source_names import SourceError, ending, require


class Arrays(TensorDataset):
    """Inputs, as float32, and targets, if there are some.

    Attributes:
        whole: The same with the inputs as whole numbers or truth values; None if the file has real numbers.
    """

    def __init__(self, x: Tensor, given: Tensor, *targets: Tensor) -> None:
        super().__init__(x, *targets)
        self.whole: TensorDataset | None = None
        if not given.is_floating_point():
            self.whole = TensorDataset(given if given.dtype == torch.bool else given.long(), *targets)


def arrays_in(path: Path) -> Arrays:
    """The arrays x and, if it holds them, y of a NumPy archive or a safetensors file; nothing in it is run.

    Raises:
        SourceError: it is not there, damaged, or holds something else than numbers for each sample.
    """
    require(path, "data file")
    try:
        tensors, names = _npz(path) if ending(path) == ".npz" else _safetensors(path)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except Exception as error:  # a damaged file raises most things there are
        raise SourceError(f"cannot read {path}: {error}") from error
    if "x" not in tensors:
        raise SourceError(f"{path} must hold x (inputs) and, to evaluate, y (targets); it holds {', '.join(names)}")
    x = _inputs(tensors["x"], path)
    if "y" not in tensors:
        return Arrays(x, tensors["x"])
    y = tensors["y"]
    if y.dim() == 0 or len(y) != len(x):
        raise SourceError(
            f"{path} must hold a target for each input: x has the shape {tuple(x.shape)} and y {tuple(y.shape)}"
        )
    return Arrays(x, tensors["x"], y)


def _npz(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The arrays x and y, and the names of all."""
    import numpy as np

    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise SourceError(f"cannot read {path}: it is not a NumPy archive, as numpy.savez writes it")
    with np.load(path, allow_pickle=False) as archive:
        found = {}
        for name in ("x", "y"):
            if name in archive.files:
                array = _member(archive, name, path)
                found[name] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
        return found, archive.files


def _member(archive: Any, name: str, path: Path) -> Any:
    """One array, of numbers."""
    try:
        array = archive[name]
    except ValueError as error:  # numpy's words advise to let the file run programs
        if "pickle" not in str(error):
            raise
        raise SourceError(f"cannot read {path}: {name} holds Python objects; expected numbers") from error
    if getattr(array, "dtype", None) is None or array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
        kind = getattr(array, "dtype", "no array")
        raise SourceError(f"cannot read {path}: {name} holds {kind}; expected numbers")
    return array


def _safetensors(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors x and y, and the names of all."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        names = list(file.keys())
        found = {name: file.get_tensor(name) for name in ("x", "y") if name in names}
    for name, value in found.items():
        if value.is_floating_point() and value.element_size() < 2:
            kind = str(value.dtype).removeprefix("torch.")
            raise SourceError(f"cannot read {path}: {name} holds {kind}; store it as float16 or float32")
    return found, names


def _inputs(x: Tensor, path: Path) -> Tensor:
    """The array x in float32.

    Raises:
        SourceError: there are no samples in it, or no numbers that float32 holds.
    """
    if x.dim() == 0 or len(x) == 0:
        raise SourceError(f"x in {path} holds no samples: expected the shape (N, ...), found {tuple(x.shape)}")
    if x.is_complex():
        raise SourceError(f"x in {path} holds complex numbers; networks take real ones")
    found = x.float()
    if bool((found.isinf() & ~x.isinf()).any()):
        raise SourceError(f"x in {path} holds numbers beyond 3.4e38, which float32 does not hold; scale them down")
    return found
