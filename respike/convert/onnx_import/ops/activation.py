"""Activations. What is a ReLU in disguise is spelled so that conversion recognises it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .axes import check_axis

_PLAIN: dict[str, Any] = {
    "Relu": F.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "HardSwish": F.hardswish,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Mish": F.mish,
}


@onnx_op(*_PLAIN)
def _plain(node: Node) -> Call:
    return node.call(_PLAIN[node.op_type], node.x())


_ALPHA: dict[str, tuple[Any, float]] = {
    "LeakyRelu": (F.leaky_relu, 0.01),
    "Elu": (F.elu, 1.0),
    "Celu": (F.celu, 1.0),
}


@onnx_op(*_ALPHA)
def _with_alpha(node: Node) -> Call:
    function, default = _ALPHA[node.op_type]
    return node.call(function, node.x(), node.attr_float("alpha", default))


def clip(x: Tensor, low: Any, high: Any) -> Tensor:
    """Within the bounds, numbers or tensors; either may be None."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        x = x if low is None else torch.maximum(x, torch.as_tensor(low, dtype=x.dtype, device=x.device))
        return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype, device=x.device))
    return x if low is None and high is None else torch.clamp(x, low, high)


_FLOAT32_MAX = 3.4e38


@onnx_op("Clip")
def _clip(node: Node) -> Call:
    low: Any
    high: Any
    if node.version < 11:
        low, high = node.attr_float("min", -_FLOAT32_MAX), node.attr_float("max", _FLOAT32_MAX)
    else:
        low, high = (_bound(node, i) if node.given(i) else None for i in (1, 2))
    # The largest float32 is how exporters write that there is no bound.
    low = None if isinstance(low, float) and low <= -_FLOAT32_MAX else low
    high = None if isinstance(high, float) and high >= _FLOAT32_MAX else high
    return node.call(clip, node.x(), low, high)


def _bound(node: Node, index: int) -> Any:
    value = node.constant(index)
    if value is None:
        return node.x(index)
    if value.numel() != 1:
        raise NodeError(f"has {value.numel()} numbers as a bound")
    return value.item()


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """X, times the slope where it is negative; the slope broadcasts to x."""
    if slope.numel() == 1:
        return F.prelu(x, slope.reshape(-1))
    if slope.dim() == x.dim() - 1 and slope.shape[0] == slope.numel() == x.shape[1]:
        return F.prelu(x, slope.reshape(-1))
    return F.relu(x) - slope * F.relu(-x)


def prelu_of_channels(x: Tensor, slope: Tensor) -> Tensor:
    """As it was before operator set 7: one slope for each channel."""
    return F.prelu(x, slope.reshape(-1))


@onnx_op("PRelu")
def _prelu(node: Node) -> Call:
    slope = node.weight(1)
    function = prelu_of_channels if node.version < 7 and slope.dim() == 1 else prelu
    return node.call(function, node.x(), slope=slope)


@onnx_op("ThresholdedRelu")
def _thresholded_relu(node: Node) -> Call:
    return node.call(F.threshold, node.x(), node.attr_float("alpha", 1.0), 0.0)


def hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(max(alpha·x + beta, 0), 1)."""
    return torch.clamp(x * alpha + beta, 0.0, 1.0)


@onnx_op("HardSigmoid")
def _hard_sigmoid(node: Node) -> Call:
    return node.call(hard_sigmoid, node.x(), node.attr_float("alpha", 0.2), node.attr_float("beta", 0.5))


def selu(x: Tensor, alpha: float, gamma: float) -> Tensor:
    """gamma·x, or gamma·alpha·(exp(x) − 1) where x is negative."""
    return F.elu(x, alpha) * gamma


@onnx_op("Selu")
def _selu(node: Node) -> Call:
    if node.version < 6:
        raise NodeError("has no fixed alpha before operator set 6")
    return node.call(selu, node.x(), node.attr_float("alpha", 1.6732632), node.attr_float("gamma", 1.050701))


def swish(x: Tensor, alpha: float) -> Tensor:
    """X · sigmoid(alpha·x)."""
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


@onnx_op("Swish")
def _swish(node: Node) -> Call:
    return node.call(swish, node.x(), node.attr_float("alpha", 1.0))


@onnx_op("Gelu")
def _gelu(node: Node) -> Call:
    return node.call(F.gelu, node.x(), approximate=node.attr_string("approximate", "none", "none", "tanh"))


def flat_softmax(x: Tensor, axis: int, log: bool) -> Tensor:
    """As it was before operator set 13: over all axes from ``axis`` on together."""
    check_axis(axis, x.dim(), end=True)
    axis = axis % x.dim() if axis != x.dim() else axis
    flat = x.flatten(axis) if axis < x.dim() else x.unsqueeze(-1)
    return (F.log_softmax(flat, -1) if log else F.softmax(flat, -1)).reshape(x.shape)


def softmax(x: Tensor, axis: int, log: bool) -> Tensor:
    """Exponentials that sum to one along an axis, or their logarithms."""
    check_axis(axis, x.dim())
    return F.log_softmax(x, axis) if log else F.softmax(x, axis)


@onnx_op("Softmax", "LogSoftmax")
def _softmax(node: Node) -> Call:
    log = node.op_type == "LogSoftmax"
    if node.version < 13:
        return node.call(flat_softmax, node.x(), axis=node.attr_int("axis", 1), log=log)
    return node.call(softmax, node.x(), axis=node.attr_int("axis", -1), log=log)


def identity(x: Tensor) -> Tensor:
    """X."""
    return x


def keep_all(x: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Dropout of a trained network: x, and a mask that keeps everything."""
    return x, torch.ones_like(x, dtype=kind)


@onnx_op("Identity")
def _identity(node: Node) -> Call:
    return node.call(identity, node.x())


@onnx_op("Dropout")
def _dropout(node: Node) -> Call:
    training = node.fixed(2)
    if training is not None and any(training):
        raise NodeError("is in training mode, so its output is random", "export the network in eval mode")
    if len(node.writes) == 1:
        return node.call(identity, node.x())
    return node.call(keep_all, node.x(), torch.bool if node.version >= 10 else torch.float32)
