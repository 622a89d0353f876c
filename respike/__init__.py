"""respike: a trained ReLU network becomes a spiking network that does the same job."""

from . import layers as layers
from . import models as models
from .convert import ConversionError as ConversionError
from .convert import EarlyExit as EarlyExit
from .convert import SpikingNetwork as SpikingNetwork
from .convert import from_onnx as from_onnx
from .convert import from_torch as from_torch
from .convert import load as load
from .evaluation import evaluate as evaluate

__all__ = [
    "ConversionError",
    "EarlyExit",
    "SpikingNetwork",
    "evaluate",
    "from_onnx",
    "from_torch",
    "layers",
    "load",
    "models",
]
