"""Pooling, over windows and over everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .windows import Windows, sides, windows


def _fits(w: Windows, padding: list[tuple[int, int]], lengths: Sequence[int]) -> bool:
    """Whether PyTorch's own pads can say it: equal, at most half the kernel, and a whole window in the input."""
    axes = zip(padding, w.kernel, w.dilation, lengths, strict=True)
    return all(a == b and 2 * a <= k and (not w.ceil or n + 2 * a > (k - 1) * d) for (a, b), k, d, n in axes)


def _pool_windows(node: Node) -> Windows:
    w = windows(node)
    if w.auto.startswith("SAME") and any(d > 1 for d in w.dilation):
        raise NodeError(
            f"has auto_pad = {w.auto} with dilations {list(w.dilation)}; runtimes differ in how much they pad",
            "state the pads instead",
        )
    return w


def _padded(x: Tensor, w: Windows, padding: list[tuple[int, int]], value: float) -> Tensor:
    over = w.overhang(x.shape[2:], padding)
    return F.pad(x, sides([(a, b + o) for (a, b), o in zip(padding, over, strict=True)]), value=value)


def max_pool(x: Tensor, w: Windows, indices: bool = False, column_major: bool = False) -> Any:
    """The largest of each window, what lies outside being smaller than anything."""
    padding = w.padding(x.shape[2:])
    function: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(w.kernel) - 1]
    begin = [a for a, _ in padding]
    if _fits(w, padding, x.shape[2:]):
        found = function(x, w.kernel, w.stride, begin, w.dilation, w.ceil, indices)
    elif indices:
        raise ValueError("indices of the largest are not supported with pads that differ between the sides")
    else:
        found = function(_padded(x, w, padding, -math.inf), w.kernel, w.stride, 0, w.dilation)
    if not indices:
        return found
    values, where = found
    lengths, count = x.shape[2:], math.prod(x.shape[2:])
    if column_major:
        where = sum(
            torch.div(where, math.prod(lengths[i + 1 :]), rounding_mode="floor") % n * math.prod(lengths[:i])
            for i, n in enumerate(lengths)
        )
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(x.shape[0], x.shape[1], *[1] * len(begin))
    return values, where + planes * count


@onnx_op("MaxPool")
def _max_pool(node: Node) -> Call:
    return node.call(
        max_pool,
        node.x(),
        w=_pool_windows(node),
        indices=len(node.writes) > 1,
        column_major=node.attr_bool("storage_order"),
    )


def window_sum(x: Tensor, w: Windows) -> Tensor:
    """The sum of each window of a padded input."""
    rank = len(w.kernel)
    if all(d == 1 for d in w.dilation):
        function: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
        found: Tensor = function(x, w.kernel, w.stride) * math.prod(w.kernel)
        return found
    convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    ones = torch.ones(x.shape[1], 1, *w.kernel, dtype=x.dtype, device=x.device)
    total: Tensor = convolve(x, ones, None, w.stride, 0, w.dilation, x.shape[1])
    return total


def average_pool(x: Tensor, w: Windows, count_pads: bool) -> Tensor:
    """The mean of each window; ``count_pads`` says whether zeros outside count, the overhang never does."""
    padding = w.padding(x.shape[2:])
    if _fits(w, padding, x.shape[2:]) and all(d == 1 for d in w.dilation):
        function: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(w.kernel) - 1]
        found: Tensor = function(x, w.kernel, w.stride, [a for a, _ in padding], w.ceil, count_pads)
        return found
    ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
    ones = F.pad(ones, sides(padding), value=float(count_pads))
    over = [(0, n) for n in w.overhang(x.shape[2:], padding)]
    counts = window_sum(F.pad(ones, sides(over)), w)
    # A window of nothing but pads has no mean; 0, as runtimes have it.
    return window_sum(_padded(x, w, padding, 0.0), w) * (1 / counts.clamp(min=1))


@onnx_op("AveragePool")
def _average_pool(node: Node) -> Call:
    return node.call(average_pool, node.x(), w=_pool_windows(node), count_pads=node.attr_bool("count_include_pad"))


def lp_pool(x: Tensor, w: Windows, p: int) -> Tensor:
    """The p-norm of each window."""
    return window_sum(_padded(x.abs() ** p, w, w.padding(x.shape[2:]), 0.0), w) ** (1 / p)


@onnx_op("LpPool")
def _lp_pool(node: Node) -> Call:
    p = node.attr_int("p", 2)
    if not 1 <= p <= 16:
        raise NodeError(f"has p = {p}; 1 to 16 are possible")
    return node.call(lp_pool, node.x(), w=_pool_windows(node), p=p)


def _space(x: Tensor) -> list[int]:
    if x.dim() < 3:
        raise ValueError(f"pooling over space needs (batch, channels, ...), got {tuple(x.shape)}")
    return list(range(2, x.dim()))


def global_average_pool(x: Tensor) -> Tensor:
    """The mean over space."""
    return x.mean(_space(x), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    """The largest over space."""
    return x.amax(_space(x), keepdim=True)


@onnx_op("GlobalAveragePool")
def _global_average_pool(node: Node) -> Call:
    return node.call(global_average_pool, node.x())


@onnx_op("GlobalMaxPool")
def _global_max_pool(node: Node) -> Call:
    return node.call(global_max_pool, node.x())
