"""Where a file says its fixed batch size in a number, say the batch of the input instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .node_module import Slot, Step, Stored
from .ops import activation, layout, reduce
from .ops.resize import resize

OTHER = 37
"""Stands for any batch size; no axis of a network is likely to have it."""
HIDDEN = -1
"""The batch's place in a value that the file squeezes its batch of one out of: an axis before all others."""
Shape = tuple[int, ...]
_BROADCAST = frozenset(
    "Add Sub Mul Div Pow And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual Mod Sum Mean Max Min Where".split()
)


def shapes_of(values: Sequence[Any]) -> list[Shape | None]:
    """Of each tensor; None for numbers computed from shapes, which follow the batch by themselves."""
    return [tuple(x.shape) if isinstance(x, Tensor) else None for x in values]


class Follower:
    """Changes the steps of a network, so that they take another batch than the one that their file declares.

    It is called before each step of a run at the batch size ``OTHER`` and knows the shapes of a run at the declared
    one: the axis whose length differs between the two is the batch, and a number of the file's that is as long as
    this axis follows it. What it changed is taken back by ``undo``.
    """

    def __init__(self, batch: int, recorded: dict[Step, tuple[list[Shape | None], list[Shape | None]]]) -> None:
        self.batch, self.recorded = batch, recorded
        self.unsqueezes_lead = self.hides = False
        self.changed: list[tuple[Step, Any, list[Any], dict[str, Any]]] = []
        self.narrowed: list[tuple[Step, str, int]] = []

    def undo(self) -> None:
        """Leave the steps as the file has them."""
        for step, function, arguments, options in reversed(self.changed):
            step.function, step.arguments, step.options = function, arguments, options
        self.changed.clear()
        self.narrowed.clear()

    def __call__(self, step: Step, given: Sequence[Any]) -> None:
        """Make one step follow the batch, if it has to be told."""
        before, made = self.recorded[step]
        axes = [self._axis(b, x) for b, x in zip(before, given, strict=True)]
        if made[0] is None or not any(a is not None for a in axes):
            return
        rule = _RULES.get(step.function)
        if rule is not None:
            rule(self, step, before, made[0], axes)
        elif step.op_type in _BROADCAST:
            self._one_row(step, before, axes)

    def _axis(self, before: Shape | None, x: Any) -> int | None:
        """Which axis of a value is the batch, times a whole number; None if there is none or it is ambiguous."""
        if before is None:
            return None
        after = tuple(x.shape)
        if self.batch == 1 and after == (OTHER, *before):
            return HIDDEN
        if len(after) != len(before):
            return None
        moved = [a for a, (n, m) in enumerate(zip(before, after, strict=True)) if n != m]
        return moved[0] if len(moved) == 1 and after[moved[0]] * self.batch == before[moved[0]] * OTHER else None

    def change(self, step: Step, function: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        """Make the step something else until ``undo``."""
        self.changed.append((step, step.function, step.arguments, step.options))
        step.function, step.arguments, step.options = function, arguments, options

    def view(self, step: Step, before: Sequence[Shape | None], made: Shape, axes: Sequence[int | None]) -> None:
        """Reshape, Flatten, Squeeze and Unsqueeze: all of them leave the values in their order."""
        x, axis = before[0], axes[0]
        if x is None or axis is None or 0 in made:
            return
        leads = made[:1] == (1,) and len(made) > 1
        if axis == HIDDEN:
            first = made[1:] if leads and step.function in (layout.reshape, layout.unsqueeze) else made
            self._reshape(step, (0, *first))
            return
        if self.hides and self.batch == 1 and axis == 0 and made[:1] != (1,) and step.function is not layout.unsqueeze:
            self._reshape(step, (0, *made))
            return
        if step.function is layout.reshape and any(isinstance(a, Slot) for a in step.arguments[1:]):
            return  # numbers that are computed from shapes
        if step.function is layout.unsqueeze and not (self.unsqueezes_lead and leads):
            return
        if step.function is layout.squeeze:
            gone = step.arguments[1]
            named = [a % len(x) for a in gone] if gone is not None else [a for a, n in enumerate(x) if n == 1]
            if axis not in named:
                self.change(step, layout.squeeze, [step.arguments[0], tuple(a for a in named if x[a] == 1)], {})
            elif axis == 0:
                self._reshape(step, (0, *made))
            return
        place = self._place(x, axis, made)
        if place is not None:
            same = place == axis and made[place] == x[axis]
            self._reshape(step, tuple((0 if same else -1) if a == place else n for a, n in enumerate(made)))

    def _place(self, x: Shape, axis: int, made: Shape) -> int | None:
        """The first axis of the result that can hold the batch: as much stands before and behind it as before."""
        outer, count = math.prod(x[:axis]), x[axis] // self.batch
        inner = count * math.prod(x[axis + 1 :])
        for place, n in enumerate(made):
            fits = n % self.batch == 0 and n // self.batch * math.prod(made[place + 1 :]) == inner
            if fits and math.prod(made[:place]) == outer:
                return place
        return None

    def _reshape(self, step: Step, shape: Shape) -> None:
        self.change(step, layout.reshape, [step.arguments[0], shape], {"allowzero": False})

    def expand(self, step: Step, before: Sequence[Shape | None], made: Shape, axes: Sequence[int | None]) -> None:
        """Expand to a shape that the file gives: a 1 in it leaves the batch as it is."""
        x, axis, shape = before[0], axes[0], step.arguments[1]
        if x is None or axis is None or not isinstance(shape, tuple):
            return
        if axis == HIDDEN:
            shape = (1, *shape) if len(shape) == len(x) else shape
        else:
            place = axis + len(made) - len(x) - (len(made) - len(shape))
            shape = tuple(1 if i == place else n for i, n in enumerate(shape))
        self.change(step, layout.expand, [step.arguments[0], shape], step.options)

    def resize(self, step: Step, before: Sequence[Shape | None], made: Shape, axes: Sequence[int | None]) -> None:
        """Resize to sizes that include the batch's."""
        x, axis, arguments = before[0], axes[0], list(step.arguments)
        if x is None or axis is None or axis == HIDDEN or not isinstance(arguments[2], tuple):
            return
        chosen = [a % len(x) for a in arguments[5]] if arguments[5] is not None else list(range(len(x)))
        arguments[2] = tuple(
            None if a == axis and n == x[axis] else n for a, n in zip(chosen, arguments[2], strict=True)
        )
        self.change(step, resize, arguments, step.options)

    def concat(self, step: Step, before: Sequence[Shape | None], made: Shape, axes: Sequence[int | None]) -> None:
        """Constants beside values with a batch are repeated as often as there are samples."""
        if HIDDEN in axes:
            self.shift(step, before, made, axes)
            return
        like = next(i for i, axis in enumerate(axes) if axis is not None)
        axis = axes[like]
        assert axis is not None
        if step.options["axis"] % len(made) == axis:
            return
        stored = [a for a in step.arguments if isinstance(a, Stored)]
        if not stored and all(a == axis for a in axes):
            return
        arguments = [self._first_row(step, a, axis) if isinstance(a, Stored) else a for a in step.arguments]
        sample = next(i for i, a in enumerate(arguments) if isinstance(a, Slot) and a.index == like)
        self.change(step, layout.concat_rows, arguments, {**step.options, "rows": axis, "like": sample})

    def _one_row(self, step: Step, before: Sequence[Shape | None], axes: Sequence[int | None]) -> None:
        """A constant that says the same for each sample of the batch broadcasts when it says so once."""
        rank = max(len(b) for b in before if b is not None)
        there = {a + rank - len(b) for a, b in zip(axes, before, strict=True) if a not in (None, HIDDEN) and b}
        if self.batch == 1 or len(there) != 1:
            return
        (axis,) = there
        arguments = []
        for argument in step.arguments:
            if isinstance(argument, Stored):
                value = getattr(step, argument.name)
                place = axis - (rank - value.dim())
                if place >= 0 and value.shape[place] == self.batch:
                    argument = self._first_row(step, argument, place)
            arguments.append(argument)
        self.change(step, step.function, arguments, step.options)

    def _first_row(self, step: Step, argument: Stored, axis: int) -> Stored:
        if getattr(step, argument.name).shape[axis] != self.batch or self.batch == 1:
            return argument
        self.narrowed.append((step, argument.name, axis))
        return Stored(argument.name, axis)

    def narrow(self) -> bool:
        """Keep one row of the constants whose rows are the same; whether those of all are that must be."""
        rows = [(step, name, axis, getattr(step, name)) for step, name, axis in self.narrowed]
        if not all(torch.equal(x, x.narrow(axis, 0, 1).expand_as(x)) for _, _, axis, x in rows):
            return False
        for step, name, axis, x in rows:
            setattr(step, name, x.narrow(axis, 0, 1).clone())
            step.arguments = [Stored(name) if a == Stored(name, axis) else a for a in step.arguments]
        return True

    def shift(self, step: Step, before: Sequence[Shape | None], made: Shape, axes: Sequence[int | None]) -> None:
        """Axes that are counted from the front, in values with the batch before all others."""
        rank = len(before[0] or ())
        if HIDDEN not in axes or not rank:
            return
        arguments, options = list(step.arguments), dict(step.options)
        if "axis" in options:
            options["axis"] = options["axis"] % rank - rank
        elif step.function is layout.transpose:
            perm = arguments[1] or tuple(range(rank))[::-1]
            arguments[1] = (0, *(a + 1 for a in perm))
        else:
            arguments[2] = tuple(a % rank - rank for a in arguments[2] or range(rank))
        self.change(step, step.function, arguments, options)


_Rule = Callable[[Follower, Step, Sequence[Shape | None], Shape, Sequence[int | None]], None]
_RULES: dict[Any, _Rule] = {
    **dict.fromkeys((layout.reshape, layout.flatten, layout.squeeze, layout.unsqueeze), Follower.view),
    layout.expand: Follower.expand,
    resize: Follower.resize,
    layout.concat: Follower.concat,
    **dict.fromkeys((activation.softmax, layout.split, layout.transpose, reduce.reduce), Follower.shift),
}
