"""What a user names on the command line: models and data sets, as strings."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from .models import REGISTRY, datasets
from .models import load as load_reference
from .source_names import SourceError, ending, is_onnx, is_saved, lengths, require
from .text import did_you_mean, shown
from .weights_file import fill

MODELS = sorted(REGISTRY)
DATA = ["mnist", "fashion_mnist"]
MODEL_HELP = f"models: {', '.join(MODELS)}, torchvision:NAME, FILE.onnx, FILE.respike, or package.module:callable"
DATA_HELP = f"data: {', '.join(DATA)}, folder:DIR (one folder per class), FILE.npz (arrays x and y), FILE.safetensors"


def own_data(name: str) -> str | None:
    """The data set that a reference network was trained on; None for other models."""
    return REGISTRY[name].dataset if name in REGISTRY else None


def find_model(
    name: str,
    weights: str | PathLike[str] | None = None,
    outputs: Sequence[str] | None = None,
    verify: bool = False,
) -> nn.Module:
    """The network that a name stands for, in eval mode.

    Args:
        name: A reference network, ``torchvision:NAME``, an ONNX file, or ``package.module:callable`` (a
            function or class without arguments that gives a module; the current folder is looked in first).
        weights: A state_dict as ``.safetensors``, or as ``.pt`` read with ``weights_only``, so that
            nothing in it is executed; also inside a training checkpoint, and with the prefixes of ``DataParallel``,
            ``torch.compile`` and Lightning before its names. Without it a torchvision network has random weights,
            the same every time.
        outputs: Of an ONNX file: names of the values to return.
        verify: Of an ONNX file: hold it against onnxruntime, and say how far apart they are.

    Raises:
        SourceError: nothing of that name, or weights that do not fit.
    """
    if is_saved(name):
        raise SourceError(f"{name} holds a spiking network; expected a trained ReLU network")
    if is_onnx(name):
        if weights is not None:
            raise SourceError(f"{name} contains its own weights; omit --weights")
        return _onnx(name, outputs, verify)
    if outputs is not None or verify:
        raise SourceError("--outputs and --verify are for ONNX files")
    if name.startswith("torchvision:"):
        model = _torchvision(name.removeprefix("torchvision:"))
    elif ":" in name:
        model = _callable(name)
    elif name in REGISTRY:
        model = load_reference(name)
    else:
        raise SourceError(_unknown_model(name))
    if weights is not None:
        fill(model, Path(weights), name)
    return model.eval()


def _unknown_model(name: str) -> str:
    said = f"no model is called {name!r}"
    if ending(name) in (".pt", ".pth", ".safetensors"):
        return f"{said}: a weights file does not describe the network. Name the model, and --weights {name}"
    if ending(name) == ".nir":
        call = "respike.from_nir(path, reset=..., spikes=..., floor=...)"
        return f"{said}: what IF means in a NIR file its reader has to say, in Python: {call}; save what that gives"
    hint = did_you_mean(name, MODELS)
    if not hint and name in torchvision_models():
        hint = f"; did you mean 'torchvision:{name}'?"
    return f"{said}{hint} ({MODEL_HELP})"


def _onnx(name: str, outputs: Sequence[str] | None, verify: bool) -> nn.Module:
    from .convert import load_onnx, verify_onnx

    require(Path(name), "ONNX file")
    net = load_onnx(name, outputs=outputs)
    if verify:
        difference = verify_onnx(net, name)
        print(
            f"{shown(name, 400)}: differs from onnxruntime by {difference:.1e} of the largest output", file=sys.stderr
        )
    return net


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    known = torchvision_models()
    if name not in known:
        raise SourceError(f"torchvision has no model {name!r}{did_you_mean(name, known)}")
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = models.get_model(name, weights=None, **quick)
    return model


def torchvision_models() -> list[str]:
    """Names of torchvision's classifiers, which may stand behind ``torchvision:``."""
    from torchvision import models

    found: list[str] = models.list_models(models)
    return found


def _callable(name: str) -> nn.Module:
    module, _, attribute = name.partition(":")
    if "" not in sys.path:  # the current folder, as python -m has it; a console script begins with its own
        sys.path.insert(0, "")
    try:
        imported = importlib.import_module(module)
        if not hasattr(imported, attribute):
            hint = did_you_mean(attribute, vars(imported))
            raise SourceError(f"cannot make a model from {name!r}: {module} has nothing called {attribute!r}{hint}")
        made = getattr(imported, attribute)()
    except SourceError:
        raise
    except (Exception, SystemExit) as error:  # user code
        hint = did_you_mean(module, ["torchvision"]) if isinstance(error, ModuleNotFoundError) else ""
        raise SourceError(f"cannot make a model from {name!r}: {type(error).__name__}: {error}{hint}") from error
    if not isinstance(made, nn.Module):
        raise SourceError(f"{name!r} gives a {type(made).__name__}, not a torch.nn.Module")
    return made


def find_test_data(
    name: str, data_dir: str | PathLike[str] | None = None, image_size: int = 224, *, labelled: bool = True
) -> Dataset[Any]:
    """The test data that a name stands for.

    Args:
        name: See ``DATA_HELP``.
        data_dir: Where torchvision's data sets lie, or are downloaded to.
        image_size: Of ``folder:`` data sets: images are cut to so many pixels squared.
        labelled: Targets are needed too.

    Raises:
        SourceError: nothing of that name.
    """
    data = _find(name, False, data_dir, image_size)
    if labelled and isinstance(data, TensorDataset) and len(data.tensors) < 2:
        raise SourceError(f"{name} contains inputs x but no targets y; test data needs both")
    return data


def find_calibration(
    name: str, data_dir: str | PathLike[str] | None = None, image_size: int = 224
) -> Tensor | Dataset[Any]:
    """The inputs that a name stands for; ``mnist`` without ``data_dir`` is what ships in the package.

    ``random:CxHxW`` gives 16 samples of noise: enough to see whether a network converts, no more.

    Raises:
        SourceError: nothing of that name.
    """
    if name.startswith("random:"):
        shape = lengths(name.removeprefix("random:"), "random:")
        return torch.rand(16, *shape, generator=torch.Generator().manual_seed(0))
    if name == "mnist" and data_dir is None:
        return datasets.calibration()
    return _find(name, True, data_dir, image_size)


def _find(name: str, train: bool, data_dir: str | PathLike[str] | None, image_size: int) -> Dataset[Any]:
    if name in DATA:
        try:
            return datasets.load(name, train=train, data_dir=data_dir)
        except (ValueError, RuntimeError, OSError) as error:
            raise SourceError(str(error)) from error
    if name.startswith("folder:"):
        return _folder(Path(name.removeprefix("folder:")), image_size)
    path = Path(name)
    if ending(path) in (".npz", ".safetensors"):
        return _arrays(path)
    raise SourceError(f"no data set is called {name!r}{did_you_mean(name, [*DATA, 'folder:'])} ({DATA_HELP})")


def _folder(path: Path, image_size: int) -> Dataset[Any]:
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [
        transforms.Resize(image_size * 256 // 224),
        transforms.CenterCrop(image_size),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    try:
        found: Dataset[Any] = ImageFolder(str(path), transforms.Compose(steps))
    except (FileNotFoundError, RuntimeError) as error:
        raise SourceError(f"{path} is not a folder with one subfolder of images per class: {error}") from error
    return found


def _arrays(path: Path) -> TensorDataset:
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
        return TensorDataset(x)
    y = tensors["y"]
    if y.dim() == 0 or len(y) != len(x):
        raise SourceError(
            f"{path} must hold a target for each input: x has the shape {tuple(x.shape)} and y {tuple(y.shape)}"
        )
    return TensorDataset(x, y)


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
