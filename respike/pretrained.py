"""Networks of torchvision, with random weights or with those that it offers."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from .source_names import SourceError
from .text import did_you_mean, shown
from .weights_file import read_weights

PREFIX = "torchvision:"


def torchvision_models() -> list[str]:
    """Names of torchvision's classifiers, which may stand behind ``torchvision:``."""
    from torchvision import models

    found: list[str] = models.list_models(models)
    return found


def torchvision_weights(name: str) -> list[str]:
    """Names of the weights that there are for a network, which may stand behind its name; none for other names."""
    from torchvision import models

    return list(models.get_model_weights(name).__members__) if name in torchvision_models() else []


def named_weights(model: str) -> Any:
    """Torchvision's weights that a model's name asks for, ``torchvision:resnet18:DEFAULT`` for example; None without.

    Raises:
        SourceError: there are no such weights for this network.
    """
    from torchvision import models

    if not model.startswith(PREFIX):
        return None
    name, colon, wanted = model.removeprefix(PREFIX).partition(":")
    known = torchvision_weights(name)
    if not colon or not known:
        return None
    if wanted not in known:
        raise SourceError(
            f"torchvision has no weights {shown(wanted)!r} for {name}{did_you_mean(wanted, known)} "
            f"(there are {', '.join(known)})"
        )
    return models.get_model_weights(name)[wanted]


def load(model: str) -> nn.Module:
    """A network of torchvision.

    Args:
        model: ``torchvision:NAME``, with random weights, the same every time; or ``torchvision:NAME:WEIGHTS``, with the
            weights of that name, which are downloaded to torch's folder (``TORCH_HOME``) if they are not there.

    Raises:
        SourceError: no such network or weights, or the weights can be neither found nor downloaded.
    """
    from torchvision import models

    name = model.removeprefix(PREFIX).partition(":")[0]
    known = torchvision_models()
    if name not in known:
        raise SourceError(f"torchvision has no model {name!r}{did_you_mean(name, known)}")
    weights = named_weights(model)
    if weights is not None:
        return _filled(name, weights)
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: nn.Module = models.get_model(name, weights=None, **quick)
    return made


def _filled(name: str, weights: Any) -> nn.Module:
    """The network with torchvision's weights, from a file that holds nothing but weights."""
    from torchvision import models

    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if not path.is_file():
        _download(weights, path)
    read_weights(path)  # torchvision would run the Python objects that a file may hold: this refuses them before
    try:
        with torch.random.fork_rng(devices=[]):
            made: nn.Module = models.get_model(name, weights=weights, progress=False)
    except RuntimeError as error:
        raise SourceError(
            f"{path} does not hold {weights!r}: remove it, and it is downloaded again ({str(error).splitlines()[0]})"
        ) from error
    return made


def _download(weights: Any, path: Path) -> None:
    try:
        with redirect_stdout(sys.stderr):  # torch says there what it downloads
            weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        reason = str(getattr(error, "reason", error)).strip()
        raise SourceError(
            f"cannot download {weights!r}: {reason}. Download {weights.url} elsewhere, and put it at {path}"
        ) from error
