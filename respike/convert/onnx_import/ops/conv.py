"""Synapses: convolutions and matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .windows import Windows, sides, windows


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product with a constant matrix (out, in)."""
    return F.linear(x, weight, bias)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, w: Windows, groups: int) -> Tensor:
    """A convolution; what pads are not the same on both sides is padded first."""
    padding = w.padding(x.shape[2:])
    begin = [a for a, _ in padding]
    if any(a != b for a, b in padding):
        x, begin = F.pad(x, sides(padding)), [0] * len(padding)
    function = (F.conv1d, F.conv2d, F.conv3d)[len(begin) - 1]
    return function(x, weight, bias, w.stride, begin, w.dilation, groups)


@onnx_op("Conv")
def _conv(node: Node) -> Call:
    weight, bias, groups = _weights(node, 0)
    return node.call(conv, node.x(), weight=weight, bias=bias, w=windows(node, weight.shape[2:]), groups=groups)


def _weights(node: Node, axis: int) -> tuple[nn.Parameter, nn.Parameter | None, int]:
    """Weight, bias and groups, fitting each other; ``axis`` is the weight's axis that groups divide."""
    weight = node.weight(1)
    groups = node.attr_int("group", 1)
    if not 3 <= weight.dim() <= 5:
        raise NodeError(f"has a weight of shape {tuple(weight.shape)}; convolutions over 1 to 3 axes are possible")
    if groups < 1 or weight.shape[axis] % groups:
        raise NodeError(f"has group = {groups}, which does not divide the {weight.shape[axis]} channels of its weight")
    bias = node.weight(2) if node.given(2) else None
    channels = weight.shape[0] if axis == 0 and node.op_type == "Conv" else weight.shape[1] * groups
    if bias is not None and tuple(bias.shape) != (channels,):
        raise NodeError(f"has a bias of shape {tuple(bias.shape)} for {channels} channels")
    return weight, bias, groups


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    w: Windows,
    groups: int,
    extra: tuple[int, ...],
    shape: tuple[int, ...] | None,
) -> Tensor:
    """A transposed convolution, ``extra`` being output_padding, ``shape`` the lengths wanted of the result."""
    axes = list(zip(x.shape[2:], w.kernel, w.stride, w.dilation, extra, strict=True))
    full = [s * (n - 1) + (k - 1) * d + 1 for n, k, s, d, _ in axes]
    padding = list(zip(w.pads[: len(full)], w.pads[len(full) :], strict=True))
    if w.auto.startswith("SAME") and shape is None:
        shape = tuple(n * s for n, _, s, _, _ in axes)
    if w.auto == "VALID":
        padding = [(0, 0)] * len(full)
    if shape is not None:
        padding = []
        for length, (*_, e), wanted in zip(full, axes, shape, strict=True):
            total = length + e - wanted
            half = total // 2
            if total < 0 and w.auto.startswith("SAME"):
                raise ValueError(f"auto_pad = {w.auto} would lengthen the output; runtimes differ")
            if total < 0:  # what is missing goes to the end
                padding.append((0, total))
            else:
                padding.append((half, total - half) if w.auto == "SAME_UPPER" else (total - half, half))
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(full) - 1]
    # PyTorch wants equal pads, and less output padding than a stride or dilation has.
    plain = all(a == b >= 0 and e < max(s, d) for (a, b), (_, _, s, d, e) in zip(padding, axes, strict=True))
    if plain:
        return function(x, weight, bias, w.stride, [a for a, _ in padding], extra, groups, w.dilation)
    y = function(x, weight, None, w.stride, 0, 0, groups, w.dilation)
    y = F.pad(y, sides([(-a, e - b) for (a, b), e in zip(padding, extra, strict=True)]))
    return y if bias is None else y + bias.reshape(-1, *[1] * len(full))


@onnx_op("ConvTranspose")
def _conv_transpose(node: Node) -> Call:
    weight, bias, groups = _weights(node, 0)
    w = windows(node, weight.shape[2:])
    extra = node.attr_ints("output_padding") or (0,) * len(w.kernel)
    shape = node.attr_ints("output_shape")
    if len(extra) != len(w.kernel) or min(extra) < 0 or max(extra) > 2**16:
        raise NodeError(f"has output_padding = {list(extra[:8])} for {len(w.kernel)} axes")
    if shape is not None and (len(shape) != len(w.kernel) or min(shape) < 1 or max(shape) > 2**16):
        raise NodeError(f"has output_shape = {list(shape[:8])} for {len(w.kernel)} axes")
    return node.call(conv_transpose, node.x(), weight=weight, bias=bias, w=w, groups=groups, extra=extra, shape=shape)


def _rows(x: Tensor) -> Tensor:
    """A vector as a matrix of one row, which is what runtimes make of it in a Gemm."""
    return x.unsqueeze(0) if x.dim() == 1 else x


def linear_rows(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``linear`` for a matrix."""
    return linear(_rows(x), weight, bias)


def gemm(a: Tensor, b: Tensor, c: Tensor | None, alpha: float, beta: float, flip_a: bool, flip_b: bool) -> Tensor:
    """alpha·A·B + beta·C."""
    y = torch.matmul(a.t() if flip_a else _rows(a), b.t() if flip_b else b)
    y = y if alpha == 1 else y * alpha
    return y if c is None or beta == 0 else y + (c if beta == 1 else c * beta)


@onnx_op("Gemm")
def _gemm(node: Node) -> Call:
    alpha, beta = node.attr_float("alpha", 1.0), node.attr_float("beta", 1.0)
    flip_a, flip_b = bool(node.attr_int("transA")), bool(node.attr_int("transB"))
    node.attr_int("broadcast")  # before operator set 7 it stood here, and meant what is always done
    matrix, c = node.constant(1), node.constant(2)
    for found in (node.constant(0), matrix):
        if found is not None and found.dim() != 2:
            raise NodeError(f"multiplies matrices, and one has the shape {tuple(found.shape)}")
    plain = matrix is not None and not flip_a and node.constant(0) is None and node.given(2) == (c is not None)
    if not plain or (c is not None and c.shape.numel() != 1 and c.dim() > 1 and c.shape[0] != 1):
        there = node.x(2) if node.given(2) else None
        return node.call(gemm, node.x(0), node.x(1), there, alpha=alpha, beta=beta, flip_a=flip_a, flip_b=flip_b)
    weight = node.weight(1) if flip_b else nn.Parameter(node.weight(1).detach().t())
    weight = weight if alpha == 1 else nn.Parameter(weight.detach() * alpha)
    if c is None or beta == 0:
        return node.call(linear_rows, node.x(), weight=weight)
    bias = node.weight(2).detach().reshape(-1)
    if bias.numel() not in (1, weight.shape[0]):
        raise NodeError(f"adds {bias.numel()} numbers to {weight.shape[0]} channels")
    bias = (bias if beta == 1 else bias * beta).expand(weight.shape[0]).clone()
    return node.call(linear_rows, node.x(), weight=weight, bias=nn.Parameter(bias))


@onnx_op("MatMul")
def _matmul(node: Node) -> Call:
    matrix = node.constant(1)
    if matrix is None or matrix.dim() != 2 or node.constant(0) is not None or not matrix.is_floating_point():
        return node.call(torch.matmul, node.x(0), node.x(1))
    return node.call(linear, node.x(), weight=nn.Parameter(node.weight(1).detach().t()))


@onnx_op("Einsum")
def _einsum(node: Node) -> Call:
    equation = node.attr_string("equation", "")
    if not equation or len(equation) > 200:
        raise NodeError("lacks a readable equation")
    return node.call(torch.einsum, equation, *[node.x(i) for i in range(node.count)])
