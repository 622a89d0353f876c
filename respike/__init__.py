"""respike: a trained network becomes a spiking network that does the same job."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import layers as layers
    from . import models as models
    from .convert import LIF as LIF
    from .convert import MSE as MSE
    from .convert import Auto as Auto
    from .convert import Controller as Controller
    from .convert import ConversionError as ConversionError
    from .convert import EarlyExit as EarlyExit
    from .convert import Encoded as Encoded
    from .convert import Encoding as Encoding
    from .convert import Frames as Frames
    from .convert import Max as Max
    from .convert import MultiThreshold as MultiThreshold
    from .convert import Percentile as Percentile
    from .convert import Pipelined as Pipelined
    from .convert import SpikingNetwork as SpikingNetwork
    from .convert import from_nir as from_nir
    from .convert import from_onnx as from_onnx
    from .convert import from_torch as from_torch
    from .convert import load as load
    from .errors import RespikeError as RespikeError
    from .evaluation.diagnosis.diagnose import diagnose as diagnose
    from .evaluation.evaluate import evaluate as evaluate
    from .hardware.check import check as check
    from .ranks import alone as alone
    from .training.finetune import finetune as finetune

__all__ = [
    "LIF",
    "MSE",
    "Auto",
    "Controller",
    "ConversionError",
    "EarlyExit",
    "Encoded",
    "Encoding",
    "Frames",
    "Max",
    "MultiThreshold",
    "Percentile",
    "Pipelined",
    "RespikeError",
    "SpikingNetwork",
    "alone",
    "check",
    "diagnose",
    "evaluate",
    "finetune",
    "from_nir",
    "from_onnx",
    "from_torch",
    "layers",
    "load",
    "models",
]

__version__: str
"""Of the installed package; pyproject.toml is the one place that says it."""

_FOLDERS = {"convert", "evaluation", "hardware", "layers", "models", "training"}
_ELSEWHERE = {
    "RespikeError": "errors",
    "alone": "ranks",
    "check": "hardware",
    "diagnose": "evaluation",
    "evaluate": "evaluation",
    "finetune": "training",
}


def __getattr__(name: str) -> Any:
    """What is asked for the first time is imported then: the command line answers Ctrl-C while torch is imported."""
    if name == "__version__":
        return _version()
    if name in _FOLDERS:
        return import_module(f".{name}", __name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_ELSEWHERE.get(name, 'convert')}", __name__), name)
    if name in ("from_nir", "from_onnx", "from_torch", "load"):
        import_module(".evaluation", __name__)  # whose diagnosis networks have as a method
    globals()[name] = found
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and rarely needed

    try:
        return version("respike")
    except PackageNotFoundError:
        raise AttributeError("respike has no __version__: it runs from a folder and is not installed") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_FOLDERS, "__version__"})
