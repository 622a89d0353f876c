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
from .images import Preparation, Shards, folder, imagenet, of_size
from .models import REGISTRY, datasets
from .models import load as load_reference
from .pretrained import load as load_pretrained
from .pretrained import named_weights, torchvision_models
from .source_names import SourceError, ending, is_onnx, is_saved, lengths, require
from .text import did_you_mean, shown
from .weights_file import fill
from .workers import InWorkers

MODELS = sorted(REGISTRY)
DATA = ["mnist", "fashion_mnist", "mnist_events"]
OF_FRAMES = ["mnist_events"]
"""Of these, those with as many frames as one asks for."""
IMAGE_DATA = ("folder:", "imagenet:", "webdataset:")
"""What names of images in files begin with."""
MODEL_HELP = (
    f"models: {', '.join(MODELS)}, torchvision:NAME, torchvision:NAME:WEIGHTS, FILE.onnx, FILE.respike, or "
    "package.module:callable"
)
DATA_HELP = (
    f"data: {', '.join(DATA)}, mnist_events:60 (60 frames), folder:DIR (one folder per class), imagenet:DIR, "
    "webdataset:{00..09}.tar, FILE.npz (arrays x and y), FILE.safetensors"
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
        name: A reference network, ``torchvision:NAME`` or ``torchvision:NAME:WEIGHTS``, an ONNX file, or
            ``package.module:callable`` (a function or class without arguments that gives a module; the current folder
            is looked in first).
        weights: A state_dict as ``.safetensors``, or as ``.pt`` read with ``weights_only``, so that
            nothing in it is executed; also inside a training checkpoint, and with the prefixes of ``DataParallel``,
            ``torch.compile`` and Lightning before its names. Without it a torchvision network whose name
            names none has random weights, the same every time.
        outputs: Of an ONNX file: names of the values to return.
        verify: Of an ONNX file: hold it against onnxruntime, and say how far apart they are.

    Raises:
        SourceError: nothing of that name, or weights that do not fit.
    """
    if is_saved(name):
        raise SourceError(f"{name} holds a spiking network; expected a trained network that is not spiking")
    if is_onnx(name):
        if weights is not None:
            raise SourceError(f"{name} contains its own weights; omit --weights")
        return _onnx(name, outputs, verify)
    if outputs is not None or verify:
        raise SourceError("--outputs and --verify are for ONNX files")
    if name.startswith("torchvision:"):
        if weights is not None and named_weights(name) is not None:
            raise SourceError(f"{name} names its weights; omit --weights, or name the network alone")
        model = load_pretrained(name)
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
    name: str,
    data_dir: str | PathLike[str] | None = None,
    prepare: Preparation | None = None,
    workers: int = 0,
    *,
    labelled: bool = True,
) -> Dataset[Any]:
    """The test data that a name stands for.

    Args:
        name: See ``DATA_HELP``.
        data_dir: Where torchvision's data sets lie, or are downloaded to.
        prepare: What is done to images in files; by default they are cut to 224 pixels squared.
        workers: Processes that read images in files.
        labelled: Targets are needed too.

    Raises:
        SourceError: nothing of that name.
    """
    data = _find(name, False, data_dir, prepare, workers, labelled)
    if labelled and isinstance(data, TensorDataset) and len(data.tensors) < 2:
        raise SourceError(f"{name} contains inputs x but no targets y; test data needs both")
    return data


def find_calibration(
    name: str,
    data_dir: str | PathLike[str] | None = None,
    prepare: Preparation | None = None,
    workers: int = 0,
    *,
    labelled: bool = False,
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
    return _find(name, True, data_dir, prepare, workers, labelled)


def is_images(name: str) -> bool:
    """Whether a name stands for images in files, which are prepared, and read by several processes."""
    return name.startswith(IMAGE_DATA)


def _find(
    name: str,
    train: bool,
    data_dir: str | PathLike[str] | None,
    prepare: Preparation | None,
    workers: int,
    labelled: bool,
) -> Dataset[Any]:
    source, frames = _frames_of(name)
    if source in DATA:
        found: Dataset[Any] = _of_ours(datasets.load, source, train=train, data_dir=data_dir, timesteps=frames)
        return found
    if is_images(name):
        return InWorkers(_images(name, train, (prepare or of_size(224)).transform, labelled), workers)
    path = Path(name)
    if ending(path) in (".npz", ".safetensors"):
        return arrays_in(path)
    raise SourceError(f"no data set is called {name!r}{did_you_mean(name, [*DATA, *IMAGE_DATA])} ({DATA_HELP})")


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


def _images(name: str, train: bool, transform: Callable[[Any], Tensor], labelled: bool) -> Dataset[Any]:
    kind, _, place = name.partition(":")
    if kind == "webdataset":
        return Shards(place, transform, labelled)
    return folder(Path(place), transform) if kind == "folder" else imagenet(Path(place), train, transform)
