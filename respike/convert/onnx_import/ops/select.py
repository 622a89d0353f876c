"""Some of the values: slices, gathers, the place of the largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import KNOWN_REFUSALS, onnx_op
from .axes import check_axis

_ENDS = 2**31 - 1
"""Slices that end here or further go to the end."""
DEPTH = 2**20
"""Most classes of a OneHot."""


def slice_axes(
    x: Tensor, starts: Sequence[Any], ends: Sequence[Any], axes: Sequence[int] | None, steps: Sequence[int] | None
) -> Tensor:
    """A slice along each of the axes, as Python slices a list."""
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        check_axis(axis, x.dim())
        if step < 0:
            length = x.shape[axis]
            first = min(max(start + length if start < 0 else start, 0), length - 1)
            last = min(max(end + length if end < 0 else end, -1), length - 1)
            places = torch.arange(first, min(last, first), step, device=x.device) if length else torch.arange(0)
            x = x.index_select(axis, places.to(x.device))
        else:
            index: list[Any] = [slice(None)] * x.dim()
            index[axis] = slice(start, None if isinstance(end, int) and end >= _ENDS else end, step)
            x = x[tuple(index)]
    return x


@onnx_op("Slice")
def _slice(node: Node) -> Call:
    if node.version < 10:
        starts, ends, axes = node.attr_ints("starts"), node.attr_ints("ends"), node.attr_ints("axes")
        steps = None
    else:
        starts, ends, axes, steps = node.numbers(1), node.numbers(2), node.fixed(3), node.fixed(4)  # type: ignore[assignment]
    if starts is None or ends is None:
        raise NodeError("lacks its starts or ends")
    if steps is not None and 0 in steps:
        raise NodeError("has a step of 0")
    return node.call(slice_axes, node.x(), starts, ends, axes, steps)


def take(x: Tensor, index: int, axis: int) -> Tensor:
    """One place along an axis, which goes away."""
    return x.select(axis, index)


def gather(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Places along an axis; the indices' own axes take its place."""
    axis = axis % max(x.dim(), 1)
    indices = indices.long()
    places = torch.where(indices < 0, indices + x.shape[axis], indices)
    if places.dim() == 1:
        return x.index_select(axis, places)
    shape = [*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]]
    return x.index_select(axis, places.reshape(-1)).reshape(shape)


def lookup(table: Tensor, indices: Tensor) -> Tensor:
    """Rows of a constant table."""
    indices = indices.long()
    return F.embedding(torch.where(indices < 0, indices + len(table), indices), table)


@onnx_op("Gather")
def _gather(node: Node) -> Call:
    axis, indices, table = node.attr_int("axis"), node.constant(1), node.constant(0)
    if indices is not None and indices.dim() == 0 and table is None:
        return node.call(take, node.x(), int(indices.item()), axis)
    if table is not None and table.dim() == 2 and axis == 0 and indices is None and table.is_floating_point():
        return node.call(lookup, node.weight(0), node.x(1))
    return node.call(gather, node.x(0), node.x(1), axis)


def columns(x: Tensor, places: Tensor) -> Tensor:
    """Places of the last axis; of a vector, as one row."""
    chosen = gather(x, places, -1)
    return chosen.unsqueeze(0) if x.dim() == 1 else chosen


@onnx_op("ArrayFeatureExtractor", domain="ai.onnx.ml")
def _array_feature_extractor(node: Node) -> Call:
    places = node.constant(1)
    if places is None:  # the label that belongs to a computed place
        raise NodeError(*KNOWN_REFUSALS[node.op_type])
    return node.call(columns, node.x(0), places.flatten())


def arg_extreme(x: Tensor, axis: int, keep: bool, last: bool, largest: bool) -> Tensor:
    """The place of the largest (or smallest) along an axis, the first or the last of equals."""
    length = x.shape[axis]
    x = x.flip(axis) if last else x
    found = (torch.argmax if largest else torch.argmin)(x, axis, keep)
    return length - 1 - found if last else found


@onnx_op("ArgMax", "ArgMin")
def _arg_extreme(node: Node) -> Call:
    keep, last = node.attr_bool("keepdims", True), node.attr_bool("select_last_index")
    return node.call(arg_extreme, node.x(), node.attr_int("axis"), keep, last, largest=node.op_type == "ArgMax")


def gather_elements(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """One place along an axis for each of the result's elements."""
    check_axis(axis, x.dim())
    return torch.gather(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices))


@onnx_op("GatherElements")
def _gather_elements(node: Node) -> Call:
    return node.call(gather_elements, node.x(0), node.x(1), axis=node.attr_int("axis"))


def triangle(x: Tensor, offset: Any, upper: bool) -> Tensor:
    """The upper or lower triangle of the last two axes, zeros elsewhere, up to ``offset`` above the diagonal."""
    return torch.triu(x, offset) if upper else torch.tril(x, offset)


@onnx_op("Trilu")
def _trilu(node: Node) -> Call:
    offset = node.fixed(1) if node.given(1) else (0,)
    if offset is None or len(offset) != 1:
        raise NodeError("needs one number as its diagonal")
    return node.call(triangle, node.x(), int(offset[0]), upper=node.attr_bool("upper", True))


def one_hot(x: Tensor, depth: int, axis: int, off: Tensor, on: Tensor) -> Tensor:
    """``on`` at the place that x names along a new axis of that depth, ``off`` elsewhere."""
    check_axis(axis, x.dim() + 1)
    axis = axis % (x.dim() + 1)
    places = torch.arange(depth, device=x.device).reshape([-1, *[1] * (x.dim() - axis)])
    whole = x.long()
    named = torch.where(whole < 0, whole + depth, whole).unsqueeze(axis) == places
    return torch.where(named, on, off)


@onnx_op("OneHot")
def _one_hot(node: Node) -> Call:
    depth, values = node.fixed(1), node.constant(2)
    if not depth or len(depth) != 1 or not 1 <= depth[0] <= DEPTH:
        raise NodeError(f"needs one depth from 1 to {DEPTH:,}")
    if values is None or tuple(values.shape) != (2,):
        raise NodeError("needs a constant pair of values, off and on")
    return node.call(one_hot, node.x(), int(depth[0]), node.attr_int("axis", -1), off=values[0], on=values[1])
