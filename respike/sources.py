"""What a user names on the command line: models and data sets, as strings."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from .data_file import arrays_in
from .models import REGISTRY, datasets
from .models import load as load_reference
from .source_names import SourceError, ending, is_onnx, is_saved, lengths, require
from .text import did_you_mean, shown
from .weights_file import fill

MODELS = sorted(REGISTRY)
DATA = ["mnist", "fashion_mnist", "mnist_events"]
OF_FRAMES = ["mnist_events"]
"""Of these, those with as many frames as one asks for."""
MODEL_HELP = f"models: {', '.join(MODELS)}, torchvision:NAME, FILE.onnx, FILE.respike, or package.module:callable"
DATA_HELP = (
    f"data: {', '.join(DATA)}, mnist_events:60 (60 frames), folder:DIR (one folder per class), FILE.npz "
    "(arrays x and y), FILE.safetensors"
)


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
    """The inputs that a name stands for; ``mnist`` and ``mnist_events`` without ``data_dir`` are what ships.

    ``random:CxHxW`` gives 16 samples of noise: enough to see whether a network converts, no more.

    Raises:
        SourceError: nothing of that name.
    """
    if name.startswith("random:"):
        shape = lengths(name.removeprefix("random:"), "random:")
        return torch.rand(16, *shape, generator=torch.Generator().manual_seed(0))
    source, frames = _frames_of(name)
    if source in datasets.SHIPPED and data_dir is None:
        shipped: Tensor = _of_ours(datasets.calibration, source, timesteps=frames)
        return shipped
    return _find(name, True, data_dir, image_size)


def _find(name: str, train: bool, data_dir: str | PathLike[str] | None, image_size: int) -> Dataset[Any]:
    source, frames = _frames_of(name)
    if source in DATA:
        found: Dataset[Any] = _of_ours(datasets.load, source, train=train, data_dir=data_dir, timesteps=frames)
        return found
    if name.startswith("folder:"):
        return _folder(Path(name.removeprefix("folder:")), image_size)
    path = Path(name)
    if ending(path) in (".npz", ".safetensors"):
        return arrays_in(path)
    raise SourceError(f"no data set is called {name!r}{did_you_mean(name, [*DATA, 'folder:'])} ({DATA_HELP})")


def _frames_of(name: str) -> tuple[str, int | None]:
    """The data set of a name like ``mnist_events:60``, and how many frames its recordings have, if it says so."""
    source, colon, frames = name.partition(":")
    if source not in DATA or not colon:
        return name, None
    if not re.fullmatch(r"\d{1,6}", frames, re.ASCII):
        raise SourceError(f"{shown(name)!r} is not of the form {source}:60, with the number of frames")
    return source, int(frames)


def _of_ours(load: Callable[..., Any], name: str, **options: Any) -> Any:
    """What a function of ``datasets`` gives.

    Raises:
        SourceError: it is not there, or has no such frames.
    """
    try:
        return load(name, **options)
    except (ValueError, RuntimeError, OSError) as error:
        raise SourceError(str(error)) from error


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
