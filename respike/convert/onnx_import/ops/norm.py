"""Normalisation, with the network's own statistics or with those of the input."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .axes import check_axis


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """(x − mean) / √(var + eps) · weight + bias, by channel."""
    return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)


@onnx_op("BatchNormalization")
def _batch_norm(node: Node) -> Call:
    if node.attr_int("training_mode") or len(node.writes) > 1:
        raise NodeError("is in training mode: it uses the batch's own statistics", "export the network in eval mode")
    if not node.attr_int("spatial", 1):
        raise NodeError("has spatial = 0, statistics for each pixel, which is not supported")
    names = ("weight", "bias", "mean", "var")
    stats = {name: node.weight(i + 1) for i, name in enumerate(names)}
    shapes = {tuple(s.shape) for s in stats.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise NodeError(f"has statistics of the shapes {sorted(shapes)}, which should be one number a channel")
    kept = {n: s if n in ("weight", "bias") else s.detach() for n, s in stats.items()}
    return node.call(batch_norm, node.x(), **kept, eps=node.attr_float("epsilon", 1e-5))


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Each channel of each sample by its own mean and variance over space."""
    if math.prod(x.shape[2:]) == 1:  # what varies is nothing
        return (x - x) + bias.reshape(-1, *[1] * (x.dim() - 2))
    return F.instance_norm(x, None, None, weight, bias, True, 0.0, eps)


@onnx_op("InstanceNormalization")
def _instance_norm(node: Node) -> Call:
    eps = node.attr_float("epsilon", 1e-5)
    return node.call(instance_norm, node.x(), weight=node.weight(1), bias=node.weight(2), eps=eps)


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, axis: int, eps: float, count: int) -> Any:
    """Each sample by its mean and variance over the axes from ``axis`` on; these too if ``count`` asks for them."""
    axis = axis + x.dim() if axis < 0 else axis
    shape = list(x.shape[axis:])
    if all(t is None or t.dim() <= len(shape) for t in (weight, bias)):
        weight, bias = (None if t is None else t.expand(shape) for t in (weight, bias))
        y = F.layer_norm(x, shape, weight, bias, eps)
    else:  # a scale that varies along axes that are not normalised
        y = F.layer_norm(x, shape, None, None, eps)
        y = y if weight is None else y * weight
        y = y if bias is None else y + bias
    if count == 1:
        return y
    axes = list(range(axis, x.dim()))
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (y, mean, torch.rsqrt(var + eps))[:count]


@onnx_op("LayerNormalization")
def _layer_norm(node: Node) -> Call:
    bias = node.weight(2) if node.given(2) else None
    eps, count = node.attr_float("epsilon", 1e-5), len(node.writes)
    return node.call(
        layer_norm, node.x(), weight=node.weight(1), bias=bias, axis=node.attr_int("axis", -1), eps=eps, count=count
    )


def rms_norm(x: Tensor, weight: Tensor, axis: int, eps: float) -> Tensor:
    """Each sample by the root of its mean square over the axes from ``axis`` on."""
    check_axis(axis, x.dim())
    shape = list(x.shape[axis % x.dim() :])
    if weight.dim() <= len(shape):
        return F.rms_norm(x, shape, weight.expand(shape), eps)
    return F.rms_norm(x, shape, None, eps) * weight


@onnx_op("RMSNormalization")
def _rms_norm(node: Node) -> Call:
    eps = node.attr_float("epsilon", 1e-5)
    node.attr_int("stash_type", 1)  # the type in which it is computed: here it is float32 throughout
    return node.call(rms_norm, node.x(), weight=node.weight(1), axis=node.attr_int("axis", -1), eps=eps)


def local_response_norm(x: Tensor, size: int, alpha: float, beta: float, bias: float) -> Tensor:
    """X / (bias + alpha/size · sum of squares over neighbouring channels)^beta."""
    before = (size - 1) // 2
    squares = F.pad((x * x).flatten(2).unsqueeze(1), (0, 0, before, size - 1 - before))
    mean = F.avg_pool2d(squares, (size, 1), stride=1).reshape(x.shape)
    return x / (mean * alpha + bias) ** beta


@onnx_op("LRN")
def _local_response_norm(node: Node) -> Call:
    size = node.attr_int("size")
    if not 1 <= size <= 4096:
        raise NodeError(f"has size = {size}; 1 to 4096 are possible")
    alpha, beta, bias = node.attr_float("alpha", 1e-4), node.attr_float("beta", 0.75), node.attr_float("bias", 1.0)
    return node.call(local_response_norm, node.x(), size, alpha, beta, bias)


def scaler(x: Tensor, offset: Tensor, scale: Tensor) -> Tensor:
    """(x − offset) · scale."""
    return (x - offset) * scale


@onnx_op("Scaler", domain="ai.onnx.ml")
def _scaler(node: Node) -> Call:
    offset, scale = node.attr_floats("offset") or (0.0,), node.attr_floats("scale") or (1.0,)
    if not all(map(math.isfinite, (*offset, *scale))):
        raise NodeError("has an offset or scale that is not finite")
    return node.call(scaler, node.x(), offset=torch.tensor(offset), scale=torch.tensor(scale))


def lp_normalise(x: Tensor, p: int, axis: int) -> Tensor:
    """X by its p-norm along an axis; zeros stay zeros."""
    norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / torch.where(norm == 0, 1.0, norm)


@onnx_op("LpNormalization")
def _lp_normalise(node: Node) -> Call:
    p = node.attr_int("p", 2)
    if p not in (1, 2):
        raise NodeError(f"has p = {p}; 1 and 2 are possible")
    return node.call(lp_normalise, node.x(), p, node.attr_int("axis", -1))


def largest_normalise(x: Tensor) -> Tensor:
    """X by its largest value along the last axis."""
    largest = x.amax(-1, keepdim=True)
    return x / torch.where(largest == 0, 1.0, largest)


@onnx_op("Normalizer", domain="ai.onnx.ml")
def _normalise_row(node: Node) -> Call:
    kind = node.attr_string("norm", "MAX", "MAX", "L1", "L2")
    if kind == "MAX":
        return node.call(largest_normalise, node.x())
    return node.call(lp_normalise, node.x(), int(kind[1]), -1)


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Each group of channels of each sample by its own mean and variance."""
    return F.group_norm(x, groups, weight, bias, eps)


@onnx_op("GroupNormalization")
def _group_norm(node: Node) -> Call:
    weight, bias, groups = node.weight(1), node.weight(2), node.attr_int("num_groups")
    if node.version < 21:
        raise NodeError("has a scale for each group before operator set 21, where runtimes differ")
    if groups < 1 or weight.dim() != 1 or weight.shape != bias.shape or weight.numel() % groups:
        raise NodeError(f"has num_groups = {groups} for {weight.numel()} channels")
    return node.call(group_norm, node.x(), groups, weight=weight, bias=bias, eps=node.attr_float("epsilon", 1e-5))
