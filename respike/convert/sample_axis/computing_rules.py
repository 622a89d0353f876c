"""Rules of the proof for operations that compute: see ``batch``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ..graph import Ref, leaves
from .axis_place import SAME, Along, Call, Count, Place, Transfer, need
from .moving_rules import everything


def elementwise(call: Call) -> Place:
    """Values of one place, broadcast: all samples lie along one axis of the result, the rest is 1 long there."""
    tensors = [a for a in leaves((call.node.args, call.node.kwargs)) if isinstance(a, Ref)]
    need(not any(isinstance(call.place(a), Count) for a in tensors))
    tensors = [a for a in tensors if call.shapes[a.name] is not None]
    rank = max(call.rank(a) for a in tensors)
    found = {
        replace(place, axis=place.axis + rank - call.rank(a))
        for a in tensors
        if isinstance(place := call.place(a), Along)
    }
    need(len(found) == 1)
    (along,) = found
    for a in tensors:
        at = along.axis - (rank - call.rank(a))
        need(call.place(a) is not SAME or at < 0 or call.shape(a)[at] == 1)
    return along


def last(count: Callable[[Call], int]) -> Transfer:
    """Works on the last axes, so many of them, and on each entry of those before by itself."""

    def rule(call: Call) -> Place:
        x, along = call.first
        need(along.axis < call.rank(x) - count(call))
        return along

    return rule


def spatial(call: Call) -> int:
    """How many axes of space the operation's name tells of."""
    found = re.search(r"(\d)d", call.node.op)
    need(found is not None)
    assert found is not None
    return int(found[1])


def batch_first(rank: int) -> Transfer:
    """Mixes channels as well: the samples must come first, in a value of that rank or more."""

    def rule(call: Call) -> Place:
        x, along = call.first
        need(along.axis == 0 and call.rank(x) >= rank)
        return along

    return rule


def convolution(call: Call) -> Place:
    """Mixes channels and space."""
    x, along = call.first
    need(along.axis == 0 and call.rank(x) == call.rank(call.node.args[1]))
    return along


def padding(call: Call) -> Place:
    """Numbers for the last axis first, two each."""
    x, along = call.first
    numbers = call.numbers("pad")
    at = 2 * (call.rank(x) - 1 - along.axis)
    need(not any(numbers[at : at + 2]))
    return along


def linear(call: Call) -> Place:
    """Mixes the last axis."""
    x, along = call.first
    need(along.axis < call.rank(x) - 1)
    return along


def besides(*names: str, default: int | list[int] | None = None) -> Transfer:
    """Works along the axes named, and on each entry of the others by itself."""

    def rule(call: Call) -> Place:
        x, along = call.first
        axes = call.axes(x, *names, default=default)
        need(bool(axes) and along.axis not in axes)
        return along

    return rule


def reduction(call: Call) -> Place:
    """Over the axes named; over all of them if none is."""
    x, along = call.first
    axes = call.axes(x, "dim", default=[])
    need(bool(axes) and along.axis not in axes)
    if call.arg("keepdim", default=False):
        return along
    return replace(along, axis=along.axis - sum(n < along.axis for n in set(axes)))


def einsum(call: Call) -> Place:
    """One letter for the samples, which the result has, and no factor that is the same for all."""
    equation, tensors = call.node.args[:2]
    need(isinstance(equation, str) and "." not in equation and "->" in equation)
    read, result = equation.replace(" ", "").split("->")
    factors = list(zip(read.split(","), tensors, strict=True))
    found = set()
    for labels, x in factors:
        if call.place(x) is not SAME:
            along = call.along(x)
            need(labels.count(labels[along.axis]) == 1)
            found.add((labels[along.axis], along.each, along.before))
    need(len(found) == 1)
    ((label, each, before),) = found
    need(result.count(label) == 1 and not any(call.place(x) is SAME and label in labels for labels, x in factors))
    return Along(result.index(label), each, before)


def joined(call: Call) -> Place:
    """``cat`` and ``stack``: along another axis than that of the samples, which all parts must hold."""
    tensors, stacks = call.node.args[0], call.node.op.startswith("aten.stack")
    along = call.along(tensors[0])
    need(all(call.place(x) == along for x in tensors))
    axis = call.numbers("dim", default=0)[0] % (call.rank(tensors[0]) + stacks)
    if stacks:
        return replace(along, axis=along.axis + (axis <= along.axis))
    need(axis != along.axis)
    return along


def scattered(call: Call) -> Place:
    """``slice_scatter`` and ``select_scatter``: both values hold all samples."""
    x = call.arg("self")
    along = call.along(x)
    (axis,) = call.axes(x, "dim", default=0)
    dropped = call.node.op.startswith("aten.select") and axis < along.axis
    whole = call.node.op.startswith("aten.slice") and everything(call)
    need(axis != along.axis or whole)
    need(call.place(call.arg("src")) == replace(along, axis=along.axis - dropped))
    return along


def embedded(call: Call) -> Place:
    """Rows of a table."""
    need(call.place(call.arg("weight")) is SAME)
    return call.along(call.arg("indices"))


def counted_classes(call: Call) -> Place:
    """``one_hot`` with a number of classes; without one it depends on all samples."""
    need(call.numbers("num_classes", default=-1)[0] > 0)
    return call.along(call.arg("self"))


def attention(call: Call) -> Place:
    """Queries, keys and values of each sample, and a mask that broadcasts."""
    query = call.arg("query")
    along, mask = call.along(query), call.arg("attn_mask")
    need(call.place(call.arg("key")) == call.place(call.arg("value")) == along and along.axis < call.rank(query) - 2)
    if mask is not None:
        axis = along.axis - (call.rank(query) - call.rank(mask))
        alike = call.place(mask) is SAME and (axis < 0 or call.shape(mask)[axis] == 1)
        need(alike or call.place(mask) == replace(along, axis=axis))
    return along


def product(call: Call) -> Place:
    """Matrices times matrices: rows stay rows, columns columns, and the axes before broadcast."""
    short, args = call.node.op.split(".")[1], call.node.args
    bias, a, b = args[:3] if short in ("addmm", "baddbmm") else (None, *args[:2])
    found = {along for along in (_factor(call, a, b, True), _factor(call, b, a, False)) if along is not None}
    if bias is not None:
        added = len(call.result) - call.rank(bias)
        if call.place(bias) is not SAME:
            along = call.along(bias)
            found.add(replace(along, axis=along.axis + added))
        else:
            need(all(along.axis < added or call.shape(bias)[along.axis - added] == 1 for along in found))
    need(len(found) == 1)
    return found.pop()


def _factor(call: Call, x: Ref, other: Ref, left: bool) -> Along | None:
    """Where the samples of one factor are in a product; None if it has none."""
    if call.place(x) is SAME:
        return None
    along, rank, rest = call.along(x), call.rank(x), call.rank(other)
    before = max(rank - 2, rest - 2, 0)  # axes that broadcast
    if along.axis < rank - 2:
        axis = along.axis - (rank - 2)  # counted from the last of them
        same = axis + rest - 2
        need(call.place(other) is not SAME or same < 0 or call.shape(other)[same] == 1)
        return replace(along, axis=before + axis)
    summed = rank - 1 if left or rank == 1 else rank - 2
    need(along.axis != summed and call.place(other) is SAME)
    return replace(along, axis=before if left else before + (rest > 1))


def normalised(call: Call) -> int:
    """How many of the last axes a normalisation is over."""
    return len(call.arg("normalized_shape"))
