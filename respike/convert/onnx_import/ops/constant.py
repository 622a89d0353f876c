"""Constants, types and shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from ...errors import ConversionError
from .. import limits
from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from ..tensors import dtype
from .activation import identity


@onnx_op("Constant")
def _constant(node: Node) -> Call:
    found: Tensor | None = node.attr_tensor("value")
    read: Any
    for name, read in (("value_float", node.attr_float), ("value_int", node.attr_int)):
        if found is None and node.has(name):
            found = torch.tensor(read(name, 0))
    for name, read in (("value_floats", node.attr_floats), ("value_ints", node.attr_ints)):
        if found is None and node.has(name):
            found = torch.tensor(read(name))
    if found is None:
        raise NodeError("holds no number", "strings and sparse tensors cannot be converted")
    return node.call(identity, found)


def filled(shape: Sequence[Any], value: Tensor) -> Tensor:
    """One value everywhere; only one element is allocated."""
    if any(n < 0 for n in shape) or math.prod(n for n in shape if isinstance(n, int)) > limits.ELEMENTS:
        raise ConversionError(f"a tensor of shape {list(shape)[:8]} is wanted")
    return value.reshape([1] * len(shape)).expand(list(shape))


@onnx_op("ConstantOfShape")
def _constant_of_shape(node: Node) -> Call:
    value = node.attr_tensor("value") if node.has("value") else torch.zeros(1)
    if value is None or value.numel() != 1:
        raise NodeError("needs one value")
    return node.call(filled, node.numbers(0), value=value)


def cast_round(x: Tensor, narrow: torch.dtype) -> Tensor:
    """Rounded to a narrower float type; the network goes on in float32."""
    return x.to(narrow).float()


def cast(x: Tensor, to: torch.dtype) -> Tensor:
    """In another type; floats towards zero."""
    return x.to(to)


_NARROW: dict[int, torch.dtype] = {TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16}


def cast_whole(x: Tensor, bits: int, signed: bool) -> Tensor:
    """To whole numbers as a type of that many bits holds them, kept in int64."""
    x = x.long() % 2**bits
    return torch.where(x >= 2 ** (bits - 1), x - 2**bits, x) if signed else x


_BITS: dict[int, tuple[int, bool]] = {
    TensorProto.UINT8: (8, False),
    TensorProto.INT8: (8, True),
    TensorProto.UINT16: (16, False),
    TensorProto.INT16: (16, True),
    TensorProto.UINT32: (32, False),
    TensorProto.INT32: (32, True),
}


@onnx_op("Cast")
def _cast(node: Node) -> Call:
    code = node.attr_int("to", -1)
    try:
        target = dtype(code, "it")
    except ConversionError as error:
        raise NodeError(f"casts to a type that is not supported: {error}") from None
    if code in _NARROW:
        return node.call(cast_round, node.x(), _NARROW[code])
    if code in _BITS:
        return node.call(cast_whole, node.x(), *_BITS[code])
    return node.call(cast, node.x(), target)


def cast_like(x: Tensor, like: Tensor) -> Tensor:
    """In the type of another tensor."""
    return x.to(like.dtype)


@onnx_op("CastLike")
def _cast_like(node: Node) -> Call:
    return node.call(cast_like, node.x(0), node.x(1))


def shape_of(x: Any, start: int, end: int | None) -> Any:
    """The lengths of the axes as numbers."""
    found = np.empty(len(x.shape), dtype=object)
    found[:] = list(x.shape)
    return found[start:end]


@onnx_op("Shape")
def _shape(node: Node) -> Call:
    end = node.attr_int("end") if node.has("end") else None
    return Call(shape_of, (node.x(),), {"start": node.attr_int("start"), "end": end}, numbers=True)


def size_of(x: Any) -> Any:
    """The number of elements."""
    return np.array(math.prod(x.shape), dtype=object)


@onnx_op("Size")
def _size(node: Node) -> Call:
    return Call(size_of, (node.x(),), {}, numbers=True)


@onnx_op("Range")
def _range(node: Node) -> Call:
    ends = [node.fixed(i) for i in range(3)]
    if any(e is None or len(e) != 1 for e in ends):
        raise NodeError("needs a start, a limit and a step")
    first, last, step = (e[0] for e in ends if e)
    if not step or not all(map(math.isfinite, (first, last, step))) or (last - first) / step > limits.ELEMENTS:
        raise NodeError(f"counts from {first} to {last} by {step}")
    return node.call(span, first, last, step, like=node.x(0))


def span(first: Any, last: Any, step: Any, like: Tensor) -> Tensor:
    """From first by step up to last, without it."""
    there = (last - first) / step > 0
    return torch.arange(first, last, step, device=like.device) if there else like.new_zeros(0)
