"""Element by element, with broadcasting as the operator set has it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op


def add(a: Tensor, b: Tensor) -> Tensor:
    """The sum."""
    return a + b


def divide(a: Tensor, b: Tensor) -> Tensor:
    """The quotient; of whole numbers, towards zero."""
    if a.is_floating_point() or b.is_floating_point():
        return a / b
    # The least int64 divided by -1 has no result, and the processor says so by a signal.
    return torch.where(b == -1, -a, torch.div(a, torch.where(b == -1, 1, b), rounding_mode="trunc"))


def modulo(a: Tensor, b: Tensor, like_c: bool) -> Tensor:
    """The remainder, with the sign of b, or ``like_c`` of a."""
    if not a.is_floating_point() and not b.is_floating_point():
        b = b.abs().where(b == -1, b)  # see divide; the remainder is 0 either way
    return torch.fmod(a, b) if like_c else torch.remainder(a, b)


def power(a: Tensor, b: Tensor) -> Tensor:
    """The power, in the type of its base."""
    return torch.pow(a, b).to(a.dtype)


def xor(a: Tensor, b: Tensor) -> Tensor:
    """Whether one of them is true and the other is not."""
    return a != b


def at_axis(a: Tensor, b: Tensor, function: Callable[..., Tensor], axis: int | None) -> Tensor:
    """Broadcasting before operator set 7: b's axes stand for a's from ``axis`` on."""
    if axis is not None and b.dim():
        behind = a.dim() - axis % max(a.dim(), 1) - b.dim()
        if behind < 0:
            raise ValueError(f"axis = {axis} leaves no room for {b.dim()} axes in {a.dim()}")
        b = b.reshape(*b.shape, *[1] * behind)
    return function(a, b)


_BINARY: dict[str, Callable[..., Any]] = {
    "Add": add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": divide,
    "Pow": power,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": xor,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
}


@onnx_op(*_BINARY)
def _binary(node: Node) -> Call:
    function = _BINARY[node.op_type]
    axis = node.attr_int("axis") if node.has("axis") else None
    if node.version < 7 and node.attr_int("broadcast"):
        return node.call(at_axis, node.x(0), node.x(1), function=function, axis=axis)
    return node.call(function, node.x(0), node.x(1))


@onnx_op("Mod")
def _mod(node: Node) -> Call:
    return node.call(modulo, node.x(0), node.x(1), like_c=node.attr_bool("fmod"))


def sum_all(*xs: Tensor) -> Tensor:
    """The sum of all."""
    return functools.reduce(torch.add, xs)


def mean_all(*xs: Tensor) -> Tensor:
    """The mean of all."""
    return sum_all(*xs) / len(xs)


def max_all(*xs: Tensor) -> Tensor:
    """The largest of all."""
    return functools.reduce(torch.maximum, xs)


def min_all(*xs: Tensor) -> Tensor:
    """The smallest of all."""
    return functools.reduce(torch.minimum, xs)


_VARIADIC = {"Sum": sum_all, "Mean": mean_all, "Max": max_all, "Min": min_all}


@onnx_op(*_VARIADIC)
def _variadic(node: Node) -> Call:
    if not node.count:
        raise NodeError("has no inputs")
    return node.call(_VARIADIC[node.op_type], *[node.x(i) for i in range(node.count)])


def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """One value where the condition holds, else the other."""
    return torch.where(condition.bool(), a, b)


@onnx_op("Where")
def _where(node: Node) -> Call:
    return node.call(where, node.x(0), node.x(1), node.x(2))


_UNARY: dict[str, Callable[..., Any]] = {
    "Neg": torch.neg,
    "Abs": torch.abs,
    "Sqrt": torch.sqrt,
    "Exp": torch.exp,
    "Log": torch.log,
    "Reciprocal": torch.reciprocal,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Sign": torch.sign,
    "Not": torch.logical_not,
    "Erf": torch.erf,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
    "IsNaN": torch.isnan,
}


@onnx_op(*_UNARY)
def _unary(node: Node) -> Call:
    return node.call(_UNARY[node.op_type], node.x())
