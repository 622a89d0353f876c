"""From a trained ReLU network to a spiking network."""

from .count.fan_out import FanOut as FanOut
from .early_exit import EarlyExit as EarlyExit
from .errors import ConversionError as ConversionError
from .errors import ConversionWarning as ConversionWarning
from .errors import FormatError as FormatError
from .errors import Refusal as Refusal
from .inspect_onnx import inspect_onnx as inspect_onnx
from .network import SpikingNetwork as SpikingNetwork
from .network import load as load
from .onnx_import import load_onnx as load_onnx
from .onnx_import import verify_onnx as verify_onnx
from .options import LIF as LIF
from .options import MSE as MSE
from .options import Auto as Auto
from .options import Max as Max
from .options import MultiThreshold as MultiThreshold
from .options import Percentile as Percentile
from .options import Pipelined as Pipelined
from .pipeline import from_onnx as from_onnx
from .pipeline import from_torch as from_torch
from .tracing.normal_form import normal_form as normal_form
from .tracing.normal_form import relative_error as relative_error
