"""Shape arithmetic: the same operators on arrays of Python numbers.

While a network is traced, the batch size among them is a symbol; Python's own operators carry it along, so
that what is computed from it holds for every batch size.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx import TensorProto

from .. import limits
from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import on_numbers
from . import constant, layout

Array = Any
"""An array of Python numbers (dtype object), some of them symbols."""


def array(values: Any) -> Array:
    """As an array of objects, numbers and symbols alike."""
    return values if isinstance(values, np.ndarray) and values.dtype == object else np.asarray(values, dtype=object)


def each(*xs: Array, function: Callable[..., Any]) -> Array:
    """The function of each element, broadcasting."""
    found = array(np.frompyfunc(function, len(xs), 1)(*xs))
    # Floats among shapes are float32 to whoever exported them, and lengths are rounded from them.
    found = array(np.frompyfunc(_single, 1, 1)(found))
    if any(isinstance(n, int) and abs(n) >= 2**63 for n in found.flat):
        raise ValueError("a number beyond 64 bits in shape arithmetic")
    return found


def _single(x: Any) -> Any:
    return float(np.float32(x)) if isinstance(x, float) else x


def _divide(a: Any, b: Any) -> Any:
    """Of whole numbers, towards zero; lengths are never negative, so a symbol divides downwards."""
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    return -(-a // b) if isinstance(a, int) and isinstance(b, int) and (a < 0) != (b < 0) else a // b


def _power(a: Any, b: Any) -> Any:
    if not isinstance(b, (int, float)) or abs(b) > 64:
        raise ValueError(f"the power {b} in shape arithmetic")
    return a**b


def _whole(x: Any) -> Any:
    return math.trunc(x) if isinstance(x, float) else int(x) if isinstance(x, bool) else x


def _floor(x: Any) -> float:
    return float(math.floor(x))


def _ceil(x: Any) -> float:
    return float(math.ceil(x))


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def _same(x: Any) -> Any:
    return x


# Named functions all, since lambdas cannot be pickled.
_EACH: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": _divide,
    "Mod": operator.mod,
    "Pow": _power,
    "Neg": operator.neg,
    "Abs": abs,
    "Floor": _floor,
    "Ceil": _ceil,
    "Sqrt": math.sqrt,
    "Equal": operator.eq,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "And": operator.and_,
    "Or": operator.or_,
    "Not": operator.not_,
    "Where": _choose,
    "Identity": _same,
}


def _numbers(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Call:
    return Call(function, args, kwargs, numbers=True)


def _all(node: Node) -> list[Any]:
    return [node.array(i) for i in range(node.count) if node.given(i)]


@on_numbers(*_EACH)
def _each(node: Node) -> Call:
    if node.version < 7 and node.attr_int("broadcast"):
        raise NodeError("computes with shapes in the way of operator set 6")
    if node.op_type == "Mod":
        node.attr_int("fmod")  # lengths are not negative, so both remainders are the same
    return _numbers(each, *_all(node), function=_EACH[node.op_type])


@on_numbers("Cast")
def _cast(node: Node) -> Call:
    code = node.attr_int("to", -1)
    floats = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    function: Callable[..., Any] = float if code in floats else bool if code == TensorProto.BOOL else _whole
    return _numbers(each, node.array(0), function=function)


def gather(x: Array, indices: Array, axis: int) -> Array:
    """See the operator on tensors."""
    return array(np.take(x, np.asarray(indices, dtype=np.int64), axis=axis))


def slice_list(x: Array, starts: Array, ends: Array, axes: Array | None, steps: Array | None) -> Array:
    """See the operator on tensors."""
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index: list[Any] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        backwards = step < 0 and end < -(2**31) + 1
        index[axis] = slice(start, None if backwards else end, step)
    return x[tuple(index)]


def concat(*xs: Array, axis: int) -> Array:
    """See the operator on tensors."""
    return np.concatenate(xs, axis)


def reshape(x: Array, shape: Array) -> Array:
    """See the operator on tensors."""
    return x.reshape([int(n) for n in shape])


def squeeze(x: Array, axes: tuple[int, ...] | None) -> Array:
    """See the operator on tensors."""
    return array(np.squeeze(x, axes))


def unsqueeze(x: Array, axes: tuple[int, ...]) -> Array:
    """See the operator on tensors."""
    return np.expand_dims(x, axes)


def combine(x: Array, function: Callable[[Any, Any], Any], keep: bool) -> Array:
    """All numbers of a list taken together."""
    if x.ndim != 1:
        raise ValueError(f"a table of the shape {x.shape} is taken together, where a list belongs")
    found = functools.reduce(function, x)
    return array([found] if keep else found)


def extreme(*xs: Array, function: Callable[..., Any]) -> Array:
    """The largest or smallest of each."""
    return functools.reduce(lambda a, b: each(a, b, function=function), xs)


def filled(shape: Array, value: Any) -> Array:
    """One number everywhere."""
    lengths = [int(n) for n in shape]
    if math.prod(lengths) > limits.INTS or min(lengths, default=0) < 0:
        raise ValueError(f"a list of shape {lengths} is wanted in shape arithmetic")
    return np.full(lengths, value, dtype=object)


def expand(x: Array, shape: Array) -> Array:
    """See the operator on tensors."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in shape)))


@on_numbers("Gather")
def _gather(node: Node) -> Call:
    return _numbers(gather, node.array(0), node.array(1), axis=node.attr_int("axis"))


@on_numbers("Slice")
def _slice(node: Node) -> Call:
    if node.version < 10:
        starts, ends, axes = node.attr_ints("starts"), node.attr_ints("ends"), node.attr_ints("axes")
        return _numbers(slice_list, node.array(0), starts, ends, axes, None)
    return _numbers(slice_list, *[node.array(i) for i in range(5)])


@on_numbers("Concat")
def _concat(node: Node) -> Call:
    return _numbers(concat, *_all(node), axis=node.attr_int("axis"))


def split(x: Array, sizes: tuple[int, ...] | None, count: int) -> tuple[Array, ...]:
    """See the operator on tensors."""
    if sizes is None:
        sizes = tuple(min(-(-len(x) // count), len(x) - i * -(-len(x) // count)) for i in range(count))
    if sum(sizes) != len(x):
        raise ValueError(f"pieces of {list(sizes)[:8]} do not make up a list of {len(x)}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1]))


@on_numbers("Split")
def _split(node: Node) -> Call:
    sizes = node.fixed(1) if node.given(1) else node.attr_ints("split")
    if node.attr_int("axis") not in (0, -1):
        raise NodeError("splits a list along an axis it does not have")
    return _numbers(split, node.array(0), sizes, node.attr_int("num_outputs", node.outputs))


def count_up(first: Array, last: Array, step: Array) -> Array:
    """Whole numbers from the first by the step up to the last, without it."""
    found = range(int(first), int(last), int(step))
    if len(found) > limits.INTS:
        raise ValueError(f"a list of {len(found):,} numbers is wanted in shape arithmetic")
    return array(np.array(found, dtype=object))


@on_numbers("Range")
def _range(node: Node) -> Call:
    return _numbers(count_up, *[node.array(i) for i in range(3)])


@on_numbers("Reshape")
def _reshape(node: Node) -> Call:
    node.attr_int("allowzero")  # a list of numbers is never empty
    return _numbers(reshape, node.array(0), node.array(1))


def transpose(x: Array, perm: tuple[int, ...] | None) -> Array:
    """See the operator on tensors."""
    return np.transpose(x, perm)


@on_numbers("Transpose")
def _transpose(node: Node) -> Call:
    return _numbers(transpose, node.array(0), node.attr_ints("perm"))


@on_numbers("Squeeze")
def _squeeze(node: Node) -> Call:
    return _numbers(squeeze, node.array(0), node.fixed(1) if node.version >= 13 else node.attr_ints("axes"))


@on_numbers("Unsqueeze")
def _unsqueeze(node: Node) -> Call:
    return _numbers(unsqueeze, node.array(0), node.fixed(1) if node.version >= 13 else node.attr_ints("axes"))


@on_numbers("ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin")
def _combine(node: Node) -> Call:
    axes = (node.fixed(1) if node.given(1) else node.attr_ints("axes")) or (0,)
    if node.attr_bool("noop_with_empty_axes") or axes not in ((0,), (-1,)):
        raise NodeError(f"takes numbers together along the axes {list(axes)}; a list has one")
    function = {"ReduceProd": _EACH["Mul"], "ReduceSum": _EACH["Add"], "ReduceMax": max, "ReduceMin": min}[node.op_type]
    return _numbers(combine, node.array(0), function=function, keep=node.attr_bool("keepdims", True))


@on_numbers("Max", "Min")
def _extreme(node: Node) -> Call:
    return _numbers(extreme, *_all(node), function={"Max": max, "Min": min}[node.op_type])


@on_numbers("ConstantOfShape")
def _filled(node: Node) -> Call:
    value = node.attr_tensor("value") if node.has("value") else None
    if value is None or value.is_floating_point():  # a tensor whose shape is computed
        return node.call(constant.filled, node.numbers(0), value=torch.zeros(1) if value is None else value)
    return _numbers(filled, node.array(0), value.reshape(-1)[0].item())


@on_numbers("Expand")
def _expand(node: Node) -> Call:
    if (value := node.constant(0)) is not None and value.is_floating_point():  # as above
        return node.call(layout.expand, value, node.numbers(1))
    return _numbers(expand, node.array(0), node.array(1))


@on_numbers("Shape")
def _shape(node: Node) -> Call:
    end = node.attr_int("end") if node.has("end") else None
    return _numbers(constant.shape_of, node.array(0), start=node.attr_int("start"), end=end)
