"""Sums, means and extremes over axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .activation import identity
from .axes import check_axis


def _sum_of_squares(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return (x * x).sum(axes, keep)


def _l2(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _sum_of_squares(x, axes, keep).sqrt()


def _l1(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.abs().sum(axes, keep)


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((a % max(x.dim(), 1) for a in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.mean(axes, keep) if x.is_floating_point() else x.float().mean(axes, keep).to(x.dtype)


def _extreme(x: Tensor, axes: tuple[int, ...], keep: bool, largest: bool) -> Tensor:
    """The largest of nothing is minus infinity."""
    if x.numel():
        return x.amax(axes, keep) if largest else x.amin(axes, keep)
    empty: Any = float("-inf") if largest else float("inf")
    return torch.full_like(x.sum(axes, keep), empty)


def _max(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _extreme(x, axes, keep, True)


def _min(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _extreme(x, axes, keep, False)


def _log_sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(axes, keep).log()


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.logsumexp(x, axes, keep)


_REDUCTIONS: dict[str, tuple[Any, int]] = {
    # with the operator set since which axes are an input
    "ReduceSum": (torch.sum, 13),
    "ReduceMean": (_mean, 18),
    "ReduceMax": (_max, 18),
    "ReduceMin": (_min, 18),
    "ReduceProd": (_product, 18),
    "ReduceL1": (_l1, 18),
    "ReduceL2": (_l2, 18),
    "ReduceSumSquare": (_sum_of_squares, 18),
    "ReduceLogSum": (_log_sum, 18),
    "ReduceLogSumExp": (_log_sum_exp, 18),
}


_OF_EACH = ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
"""What these do to the values before they add them up is done where no axis is reduced too."""


def reduce(x: Tensor, function: Any, axes: tuple[int, ...] | None, keep: bool) -> Tensor:
    """The function over the axes, all of them by default."""
    axes = axes or tuple(range(x.dim()))
    for axis in axes:
        check_axis(axis, x.dim())
    wanted = torch.int64 if x.dtype == torch.bool else x.dtype
    found: Tensor = function(x.to(wanted), axes, keep) if axes else x
    return found


@onnx_op(*_REDUCTIONS)
def _reduce(node: Node) -> Call:
    function, since = _REDUCTIONS[node.op_type]
    axes = node.fixed(1) if node.version >= since else node.attr_ints("axes")
    keep, nothing = node.attr_bool("keepdims", True), node.attr_bool("noop_with_empty_axes")
    if nothing and not axes:
        if node.op_type in _OF_EACH:
            raise NodeError("reduces no axis, and is not even the identity then")
        return node.call(identity, node.x())
    return node.call(reduce, node.x(), function, axes, keep)


def cumulative_sum(x: Tensor, axis: int, exclusive: bool, reverse: bool) -> Tensor:
    """Each value and all before it along an axis; without itself, or from the other end."""
    check_axis(axis, x.dim())
    flipped = x.flip(axis) if reverse else x
    total = flipped.cumsum(axis)
    total = total - flipped if exclusive else total
    return total.flip(axis) if reverse else total


@onnx_op("CumSum")
def _cumulative_sum(node: Node) -> Call:
    axis = node.fixed(1)
    if not axis or len(axis) != 1:
        raise NodeError("needs one axis")
    return node.call(cumulative_sum, node.x(), int(axis[0]), node.attr_bool("exclusive"), node.attr_bool("reverse"))
