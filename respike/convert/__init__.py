"""From a trained network to a spiking network."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .count.fan_out import FanOut as FanOut
    from .early_exit import EarlyExit as EarlyExit
    from .errors import ConversionError as ConversionError
    from .errors import ConversionWarning as ConversionWarning
    from .errors import FormatError as FormatError
    from .errors import Refusal as Refusal
    from .frames import Encoded as Encoded
    from .frames import Frames as Frames
    from .network import SpikingNetwork as SpikingNetwork
    from .network import load as load
    from .nir_import.from_nir import from_nir as from_nir
    from .onnx_import import load_onnx as load_onnx
    from .onnx_import import verify_onnx as verify_onnx
    from .onnx_import.inspection import inspect_onnx as inspect_onnx
    from .options import LIF as LIF
    from .options import MSE as MSE
    from .options import Auto as Auto
    from .options import Encoding as Encoding
    from .options import Max as Max
    from .options import MultiThreshold as MultiThreshold
    from .options import Percentile as Percentile
    from .options import Pipelined as Pipelined
    from .pipeline import from_onnx as from_onnx
    from .pipeline import from_torch as from_torch
    from .streams.controller import Controller as Controller
    from .streams.stream import Stream as Stream
    from .tracing.normal_form import normal_form as normal_form
    from .tracing.normal_form import relative_error as relative_error

_PLACES = {
    "Auto": "options",
    "Controller": "streams.controller",
    "ConversionError": "errors",
    "ConversionWarning": "errors",
    "EarlyExit": "early_exit",
    "Encoded": "frames",
    "Encoding": "options",
    "FanOut": "count.fan_out",
    "FormatError": "errors",
    "Frames": "frames",
    "LIF": "options",
    "MSE": "options",
    "Max": "options",
    "MultiThreshold": "options",
    "Percentile": "options",
    "Pipelined": "options",
    "Refusal": "errors",
    "SpikingNetwork": "network",
    "Stream": "streams.stream",
    "from_nir": "nir_import.from_nir",
    "from_onnx": "pipeline",
    "from_torch": "pipeline",
    "inspect_onnx": "onnx_import.inspection",
    "load": "network",
    "load_onnx": "onnx_import",
    "normal_form": "tracing.normal_form",
    "relative_error": "tracing.normal_form",
    "verify_onnx": "onnx_import",
}
"""What is exported, by name the module that it is imported from when it is asked for: options need no torch."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
