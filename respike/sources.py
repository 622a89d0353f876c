"""What a user names on the command line: models and data sets, as strings."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from .models import REGISTRY, datasets
from .models import load as load_reference

MODEL_HELP = ", ".join([*REGISTRY, "torchvision:NAME", "FILE.onnx, or package.module:callable"])
DATA_HELP = "mnist, fashion_mnist, folder:DIR (one folder per class), FILE.npz (arrays x and y), or FILE.safetensors"


class SourceError(ValueError):
    """A name that stands for nothing, or a file that cannot be used."""


def find_model(
    name: str, weights: Path | None = None, outputs: Sequence[str] | None = None, verify: bool = False
) -> nn.Module:
    """The network that a name stands for, in eval mode.

    Args:
        name: A reference network, ``torchvision:NAME``, an ONNX file, or ``package.module:callable`` (a
            function or class without arguments that gives a module).
        weights: A state_dict as ``.safetensors``, or as ``.pt`` read with ``weights_only``, so that
            nothing in it is executed. Without it a torchvision network has random weights.
        outputs: Of an ONNX file: names of the values to return.
        verify: Of an ONNX file: hold it against onnxruntime, and say how far apart they are.

    Raises:
        SourceError: nothing of that name, or weights that do not fit.
    """
    if name.endswith(".onnx"):
        if weights is not None:
            raise SourceError(f"{name} holds its own weights; leave --weights out")
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
        near = difflib.get_close_matches(name, REGISTRY, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SourceError(f"no model is called {name!r}{hint} (models: {MODEL_HELP})")
    if weights is not None:
        _fill(model, weights, name)
    return model.eval()


def _onnx(name: str, outputs: Sequence[str] | None, verify: bool) -> nn.Module:
    from .convert import load_onnx, verify_onnx

    net = load_onnx(name, outputs=outputs)
    if verify:
        difference = verify_onnx(net, name)
        print(f"{name}: differs from onnxruntime by {difference:.1e} of the largest output", file=sys.stderr)
    return net


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    if name not in models.list_models(models):
        near = difflib.get_close_matches(name, models.list_models(models), 1)
        raise SourceError(f"torchvision has no model {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model: nn.Module = models.get_model(name, weights=None, **quick)
    return model


def _callable(name: str) -> nn.Module:
    module, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # user code
        raise SourceError(f"cannot make a model from {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise SourceError(f"{name!r} gives a {type(made).__name__}, not a torch.nn.Module")
    return made


def _fill(model: nn.Module, path: Path, name: str) -> None:
    if not path.is_file():
        raise SourceError(f"there is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises most things there are
        raise SourceError(f"cannot read weights from {path}: {error}") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    try:
        model.load_state_dict(state)
    except Exception as error:
        raise SourceError(f"the weights in {path} do not fit {name}: {error}") from error


def find_test_data(name: str, data_dir: Path | None, image_size: int = 224) -> Dataset[Any]:
    """The labelled test data that a name stands for.

    Raises:
        SourceError: nothing of that name.
    """
    return _find(name, False, data_dir, image_size)


def find_calibration(name: str, data_dir: Path | None, image_size: int = 224) -> Tensor | Dataset[Any]:
    """The inputs that a name stands for; ``mnist`` without ``data_dir`` is what ships in the package.

    ``random:CxHxW`` gives 16 samples of noise: enough to see whether a network converts, no more.

    Raises:
        SourceError: nothing of that name.
    """
    if name.startswith("random:"):
        try:
            shape = [int(n) for n in name.removeprefix("random:").split("x")]
        except ValueError:
            raise SourceError(f"{name!r} is not of the form random:3x64x64") from None
        return torch.rand(16, *shape, generator=torch.Generator().manual_seed(0))
    if name == "mnist" and data_dir is None:
        return datasets.calibration()
    return _find(name, True, data_dir, image_size)


def _find(name: str, train: bool, data_dir: Path | None, image_size: int) -> Dataset[Any]:
    if name in ("mnist", "fashion_mnist"):
        try:
            return datasets.load(name, train=train, data_dir=data_dir)
        except (ValueError, RuntimeError, OSError) as error:
            raise SourceError(str(error)) from error
    if name.startswith("folder:"):
        return _folder(Path(name.removeprefix("folder:")), image_size)
    path = Path(name)
    if path.suffix in (".npz", ".safetensors"):
        return _arrays(path)
    raise SourceError(f"no data set is called {name!r} (data: {DATA_HELP})")


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
        raise SourceError(f"{path} is no folder of class folders with images: {error}") from error
    return found


def _arrays(path: Path) -> TensorDataset:
    try:
        if path.suffix == ".npz":
            import numpy as np

            with np.load(path, allow_pickle=False) as archive:
                tensors = {k: torch.from_numpy(archive[k]) for k in archive.files}
        else:
            from safetensors.torch import load_file

            tensors = load_file(path)
    except Exception as error:  # a damaged file raises most things there are
        raise SourceError(f"cannot read {path}: {error}") from error
    if "x" not in tensors:
        raise SourceError(f"{path} must hold x (inputs) and, to evaluate, y (targets); it holds {', '.join(tensors)}")
    x = tensors["x"].float()
    return TensorDataset(x, tensors["y"].long()) if "y" in tensors else TensorDataset(x)
