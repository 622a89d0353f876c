"""The same values in other places: reshaping, joining, padding, reordering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..node_module import Call, Slot
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .axes import check_axis

PAD = 2**16
"""Most that Pad adds at one end."""


def reshape(x: Tensor, shape: Sequence[Any], allowzero: bool = False) -> Tensor:
    """The same values in another shape: 0 keeps an axis (or not, with ``allowzero``), one -1 takes the rest."""
    sizes = list(shape)
    if not allowzero:
        sizes = [x.shape[i] if isinstance(n, int) and n == 0 else n for i, n in enumerate(sizes)]
    return x.reshape(sizes)


@onnx_op("Reshape")
def _reshape(node: Node) -> Call:
    shape = node.numbers(1) if node.version >= 5 else node.attr_ints("shape")
    if shape is None:
        raise NodeError("lacks its shape")
    return node.call(reshape, node.x(), shape, allowzero=node.attr_bool("allowzero"))


def flatten(x: Tensor, axis: int) -> Tensor:
    """To a matrix: the axes before ``axis``, and those from it on."""
    check_axis(axis, x.dim(), end=True)
    axis = axis + x.dim() if axis < 0 else axis
    if axis == 0:
        return x.reshape(1, -1)
    if axis == 1:
        return x.reshape(x.shape[0], -1)
    return x.flatten(0, axis - 1).reshape(math.prod(x.shape[:axis]), -1)


@onnx_op("Flatten")
def _flatten(node: Node) -> Call:
    return node.call(flatten, node.x(), axis=node.attr_int("axis", 1))


def transpose(x: Tensor, perm: tuple[int, ...] | None) -> Tensor:
    """Axes in the order ``perm``, reversed by default."""
    return x.permute(perm if perm is not None else tuple(range(x.dim()))[::-1])


@onnx_op("Transpose")
def _transpose(node: Node) -> Call:
    perm = node.attr_ints("perm")
    if perm is not None and sorted(perm) != list(range(len(perm))):
        raise NodeError(f"has perm = {list(perm[:8])}, which is not an order of the axes")
    return node.call(transpose, node.x(), perm)


def _axes(node: Node, since: int) -> tuple[int, ...] | None:
    """Axes as an attribute, and as an input from operator set ``since`` on."""
    found = node.fixed(1) if node.version >= since else node.attr_ints("axes")
    return None if found is None else tuple(int(n) for n in found)


def squeeze(x: Tensor, axes: tuple[int, ...] | None) -> Tensor:
    """Without the axes of length one that are named, or without all."""
    if axes is None:
        return x.squeeze()
    for axis in axes:
        if x.shape[axis] != 1:
            raise ValueError(f"axis {axis} has length {x.shape[axis]}, not 1")
    return x.squeeze(axes)


@onnx_op("Squeeze")
def _squeeze(node: Node) -> Call:
    return node.call(squeeze, node.x(), _axes(node, 13))


def unsqueeze(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """With axes of length one at these places of the result."""
    rank = x.dim() + len(axes)
    if len({a % rank for a in axes}) < len(axes) or not all(-rank <= a < rank for a in axes):
        raise ValueError(f"axes {list(axes)} are not {len(axes)} places of {rank}")
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


@onnx_op("Unsqueeze")
def _unsqueeze(node: Node) -> Call:
    axes = _axes(node, 13)
    if axes is None or len(axes) > 16:
        raise NodeError("lacks its axes, or has more than 16")
    return node.call(unsqueeze, node.x(), axes)


def expand(x: Tensor, shape: Sequence[Any]) -> Tensor:
    """Repeated along axes of length one, both shapes broadcasting."""
    missing = len(shape) - x.dim()
    x = x.reshape([1] * missing + list(x.shape)) if missing > 0 else x
    target = [1] * -missing + list(shape) if missing < 0 else list(shape)
    return x.expand([-1 if isinstance(n, int) and n == 1 else n for n in target])


@onnx_op("Expand")
def _expand(node: Node) -> Call:
    return node.call(expand, node.x(), node.numbers(1))


def tile(x: Tensor, repeats: Sequence[Any]) -> Tensor:
    """Copies side by side along each axis."""
    if len(repeats) != x.dim():
        raise ValueError(f"{len(repeats)} repeats for {x.dim()} axes")
    return x.repeat(list(repeats))


@onnx_op("Tile")
def _tile(node: Node) -> Call:
    if node.version < 6:
        raise NodeError("has another meaning before operator set 6")
    return node.call(tile, node.x(), node.numbers(1))


def concat(*xs: Tensor, axis: int) -> Tensor:
    """One behind the other along an axis."""
    return torch.cat(xs, axis)


def concat_rows(*xs: Tensor, axis: int, rows: int, like: int) -> Tensor:
    """``concat``, of values some of which have one row along the axis ``rows`` for all that ``xs[like]`` has."""
    count = xs[like].shape[rows]
    return torch.cat([x.expand([count if a == rows else -1 for a in range(x.dim())]) for x in xs], axis)


@onnx_op("Concat")
def _concat(node: Node) -> Call:
    if not node.has("axis"):
        raise NodeError("lacks its axis")
    return node.call(concat, *[node.x(i) for i in range(node.count)], axis=node.attr_int("axis"))


def split(x: Tensor, sizes: Sequence[int] | None, count: int, axis: int) -> Any:
    """Pieces along an axis: of the sizes given, or equal ones of which the last may be smaller."""
    length = x.shape[axis]
    if sizes is None:
        size = -(-length // count)
        sizes = [min(size, length - i * size) for i in range(count)]
    if sum(sizes) != length or min(sizes) < 0:
        raise ValueError(f"pieces of {list(sizes)[:8]} do not make up the length {length}")
    pieces = torch.split(x, list(sizes), axis)
    return pieces if count > 1 else pieces[0]


@onnx_op("Split")
def _split(node: Node) -> Call:
    sizes = node.fixed(1) if node.version >= 13 or node.count > 1 else node.attr_ints("split")
    count = node.attr_int("num_outputs", node.outputs)
    count = count if sizes is None else len(sizes)
    if count != node.outputs:
        raise NodeError(f"splits into {count} pieces and has {node.outputs} outputs")
    return node.call(split, node.x(), sizes, count, axis=node.attr_int("axis"))


def pad(x: Tensor, pads: Sequence[Any], mode: str, value: float, axes: Sequence[int] | None) -> Tensor:
    """More at the ends of each axis (or less, where a pad is negative)."""
    check_pads(pads)
    chosen = [a % x.dim() for a in axes] if axes is not None else list(range(x.dim()))
    if len(pads) != 2 * len(chosen) or len(set(chosen)) < len(chosen):
        raise ValueError(f"{len(pads)} pads for {len(chosen)} axes")
    ends = dict(zip(chosen, zip(pads[: len(chosen)], pads[len(chosen) :], strict=True), strict=True))
    if mode == "constant":
        flat = [n for axis in reversed(range(x.dim())) for n in ends.get(axis, (0, 0))]
        while len(flat) > 2 and flat[-2:] == [0, 0]:
            flat = flat[:-2]
        return F.pad(x, flat, value=value)
    if min(pads, default=0) < 0:
        raise ValueError(f"negative pads in mode {mode!r}; runtimes differ")
    for axis, (begin, end) in ends.items():
        if (begin, end) != (0, 0):
            places = _outside(torch.arange(-begin, x.shape[axis] + end, device=x.device), x.shape[axis], mode)
            x = x.index_select(axis, places)
    return x


def check_pads(pads: Sequence[Any]) -> None:
    """Raises an error if they are too large, or no whole numbers."""
    if any(isinstance(n, float) for n in pads) or max(map(abs, pads), default=0) > PAD:
        raise NodeError(f"has pads = {list(pads[:8])}; the most is {PAD}")


def _outside(places: Tensor, length: int, mode: str) -> Tensor:
    """Where the values outside come from: the edge, its mirror image, or the other side."""
    if mode == "edge":
        return places.clamp(0, length - 1)
    if mode == "wrap":
        return places % length
    period = max(2 * (length - 1), 1)
    folded = places % period
    return torch.minimum(folded, period - folded) if length > 1 else folded


@onnx_op("Pad")
def _pad(node: Node) -> Call:
    modes = ("constant", "reflect", "edge", "wrap")
    mode = node.attr_string("mode", "constant", *(modes if node.version >= 19 else modes[:3]))
    pads: tuple[Any, ...] | Slot | None
    if node.version < 11:
        pads, value, axes = node.attr_ints("pads"), node.attr_float("value", 0.0), None
    else:
        pads, axes = node.numbers(1), node.fixed(3)
        constant = node.fixed(2)
        value = float(constant[0]) if constant else 0.0
    if pads is None:
        raise NodeError("lacks its pads")
    if not isinstance(pads, Slot):
        check_pads(pads)
    return node.call(pad, node.x(), pads, mode, value, axes)


def depth_to_space(x: Tensor, block: int, order: str) -> Tensor:
    """Channels become blocks of pixels; ``order`` says whether blocks or channels come first."""
    if order == "CRD":
        return F.pixel_shuffle(x, block)
    n, c, h, w = x.shape
    y = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return y.reshape(n, c // block**2, h * block, w * block)


def space_to_depth(x: Tensor, block: int, order: str) -> Tensor:
    """Blocks of pixels become channels; ``order`` says whether blocks or channels come first."""
    if order == "CRD":
        return F.pixel_unshuffle(x, block)
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return y.reshape(n, c * block**2, h // block, w // block)


@onnx_op("DepthToSpace")
def _depth_to_space(node: Node) -> Call:
    order = node.attr_string("mode", "DCR", "DCR", "CRD")
    return node.call(depth_to_space, node.x(), _block(node), order)


@onnx_op("SpaceToDepth")
def _space_to_depth(node: Node) -> Call:
    order = node.attr_string("mode", "DCR", "DCR", "CRD")
    return node.call(space_to_depth, node.x(), _block(node), order)


def _block(node: Node) -> int:
    block = node.attr_int("blocksize")
    if not 1 <= block <= 256:
        raise NodeError(f"has blocksize = {block}; 1 to 256 are possible")
    return block
