"""Rules of the proof for operations that move, copy and make values: see ``batch``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ..graph import Ref
from .axis_place import SAME, Along, Call, Place, Shape, Transfer, need


def reshaped(call: Call) -> Place:
    """The order of the entries stays: what stands before the samples, and what each of them has, is as much as before.

    Either may be partly in the axis of the samples, and partly in axes of its own.
    """
    along = call.along(call.node.args[0])
    before, after = call.shape(call.node.args[0]), call.result
    axes = [i for i, n in enumerate(after) if n is None or n < 0]
    need(len(axes) == 1)
    (axis,) = axes
    blocks, outer = along.before * size(before[: along.axis]), size(after[:axis])
    entries, inner = along.each * size(before[along.axis + 1 :]), size(after[axis + 1 :])
    need(outer > 0 and blocks % outer == 0 and inner > 0 and entries % inner == 0)
    return Along(axis, entries // inner, blocks // outer)


def size(shape: Shape) -> int:
    need(all(n is not None and n >= 0 for n in shape))
    return math.prod(n for n in shape if n is not None)


def expanded(call: Call) -> Place:
    """Samples stay where they are; a single entry becomes one for each sample."""
    x, sizes = call.arg("self"), call.arg("size")
    added = len(sizes) - call.rank(x)
    if call.place(x) is not SAME:
        along = call.along(x)
        return replace(along, axis=along.axis + added)
    found = call.count(sizes)
    need(found is not None)
    assert found is not None
    axis, each = found
    need(axis < added or call.shape(x)[axis - added] == 1)
    return Along(axis, each)


def filled(call: Call) -> Place:
    """``zeros(N, ...)`` and the like: every sample has the same."""
    need(call.place(call.arg("fill_value")) is SAME)
    found = call.count(call.arg("size"))
    return SAME if found is None else Along(*found)


def repeated(call: Call) -> Place:
    """Samples may be repeated along the other axes; what is the same for all, once for each sample."""
    x, repeats = call.arg("self"), call.arg("repeats", "dims")
    added = max(len(repeats) - call.rank(x), 0)
    repeats = [1] * (call.rank(x) - len(repeats)) + list(repeats)
    found = call.count(repeats)
    if call.place(x) is not SAME:
        along = call.along(x)
        need(found is None and repeats[along.axis + added] == 1)
        return replace(along, axis=along.axis + added)
    need(found is not None)
    assert found is not None
    axis, each = found
    return Along(axis, each * (1 if axis < added else size(call.shape(x)[axis - added : axis - added + 1])))


def interleaved(call: Call) -> Place:
    x, along = call.first
    axes = call.axes(x, "dim", default=[])
    need(len(axes) == 1)
    (times,) = call.numbers("repeats")
    return replace(along, each=along.each * times) if axes[0] == along.axis else along


def without(*names: str, default: int | None = None) -> Transfer:
    """Takes the axes named away."""

    def rule(call: Call) -> Place:
        x, along = call.first
        axes = call.axes(x, *names, default=default)
        need(along.axis not in axes)
        return replace(along, axis=along.axis - sum(n < along.axis for n in set(axes)))

    return rule


def squeezed(call: Call) -> Place:
    x, along = call.first
    axes = [n for n in call.axes(x, "dim", default=[]) if call.shape(x)[n] == 1 or n == along.axis]
    need(bool(call.node.args[1:]) and along.axis not in axes)
    return replace(along, axis=along.axis - sum(n < along.axis for n in set(axes)))


def unsqueezed(call: Call) -> Place:
    x, along = call.first
    (axis,) = call.numbers("dim")
    return replace(along, axis=along.axis + (axis % (call.rank(x) + 1) <= along.axis))


def diagonal(call: Call) -> Place:
    x, along = call.first
    axes = [call.axes(x, name, default=n)[0] for n, name in enumerate(("dim1", "dim2"))]
    need(along.axis not in axes)
    return replace(along, axis=along.axis - sum(n < along.axis for n in axes))


def on_diagonal(call: Call) -> Place:
    """``diag_embed``: the last axis becomes two."""
    x, along = call.first
    made = {n % (call.rank(x) + 1) for n in (*call.numbers("dim1", default=-2), *call.numbers("dim2", default=-1))}
    need(along.axis < call.rank(x) - 1)
    return replace(along, axis=[n for n in range(call.rank(x) + 1) if n not in made][along.axis])


def into_diagonal(call: Call) -> Place:
    """``diagonal_scatter``: both values hold all samples."""
    x = call.arg("self")
    along = call.along(x)
    axes = [call.axes(x, name, default=n)[0] for n, name in enumerate(("dim1", "dim2"))]
    inner = replace(along, axis=along.axis - sum(n < along.axis for n in axes))
    need(along.axis not in axes and call.place(call.arg("src")) == inner)
    return along


def permuted(order: Callable[[Call, Ref], list[int]]) -> Transfer:
    """The axes in another order: ``order[i]`` is the old axis that becomes the i-th."""

    def rule(call: Call) -> Place:
        x, along = call.first
        return replace(along, axis=order(call, x).index(along.axis))

    return rule


def swap(call: Call, x: Ref) -> list[int]:
    order = list(range(call.rank(x)))
    if call.node.op == "aten.transpose.int":
        i, j = (*call.axes(x, "dim0"), *call.axes(x, "dim1"))
    else:  # t and mT
        i, j = (0, 1) if call.node.op.startswith("aten.t.") else (-2, -1)
    if len(order) > 1:
        order[i], order[j] = order[j], order[i]
    return order


def move(call: Call, x: Ref) -> list[int]:
    sources, targets = call.axes(x, "source"), call.axes(x, "destination")
    order = [n for n in range(call.rank(x)) if n not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return order


def sliced(call: Call) -> Place:
    x, along = call.first
    (axis,) = call.axes(x, "dim", default=0)
    need(axis != along.axis or everything(call))
    return along


def everything(call: Call) -> bool:
    """Whether the slice that an operation names is all of the axis."""
    start, end, step = (call.arg("start"), call.arg("end"), call.arg("step", default=1))
    return start in (None, 0) and (end is None or end == 2**63 - 1) and step == 1


def picked(call: Call) -> Place:
    """``index_select``: entries of each sample, or rows of a table that the samples name."""
    x, index = call.arg("self"), call.arg("index")
    (axis,) = call.axes(x, "dim")
    if call.place(x) is SAME:
        return replace(call.along(index), axis=axis)
    along = call.along(x)
    need(call.place(index) is SAME and axis != along.axis)
    return along


def gathered(call: Call) -> Place:
    """``gather``: each sample from its own entries."""
    x = call.arg("self")
    along = call.along(x)
    (axis,) = call.axes(x, "dim")
    need(along == call.place(call.arg("index")) and axis != along.axis)
    return along


def indexed(call: Call) -> Place:
    """``x[:, i, j]`` with indices that are the same for all samples, or ``table[samples]``."""
    x = call.node.args[0]
    there = [(axis, i) for axis, i in enumerate(call.node.args[1]) if i is not None]
    axes = [axis for axis, _ in there]
    if call.place(x) is SAME:
        need(len(there) == 1)
        along = call.along(there[0][1])
        return replace(along, axis=along.axis + axes[0])
    along = call.along(x)
    need(all(call.place(i) is SAME for _, i in there))
    # Indices that do not stand side by side put their axes first.
    need(axes == list(range(axes[0], axes[0] + len(axes))) and along.axis not in axes)
    added = max(call.rank(i) for _, i in there)
    need(len(call.result) == call.rank(x) - len(axes) + added)  # else one of them is a mask over several axes
    return along if along.axis < axes[0] else replace(along, axis=along.axis - len(axes) + added)


def put(*names: str) -> Transfer:
    """Entries of each sample in other places of the same sample.

    Args:
        *names: The arguments that must hold all samples besides the two values; others are the same for all.
    """

    def rule(call: Call) -> Place:
        x = call.arg("self")
        along = call.along(x)
        (axis,) = call.axes(x, "dim")
        held = [call.arg(name) for name in (*names, "src", "source") if isinstance(call.arg(name), Ref)]
        shared = [] if names else [call.arg("index")]
        need(axis != along.axis and call.place(call.arg("value")) is SAME)
        need(all(call.place(a) == along for a in held) and all(call.place(a) is SAME for a in shared))
        return along

    return rule


def put_at(call: Call) -> Place:
    """``index_put``, at places behind the samples that are the same for all of them."""
    x, values = call.arg("self"), call.arg("values")
    along = call.along(x)
    there = [(axis, i) for axis, i in enumerate(call.arg("indices")) if i is not None]
    axes = [axis for axis, _ in there]
    need(all(call.place(i) is SAME and call.rank(i) == 1 for _, i in there))  # a mask of more axes is over several
    need(axes == list(range(axes[0], axes[0] + len(axes))) and along.axis < axes[0])
    at = along.axis - (call.rank(x) - len(axes) + 1 - call.rank(values))
    alike = call.place(values) is SAME and (at < 0 or call.shape(values)[at] == 1)
    need(alike or call.place(values) == replace(along, axis=at))
    return along
