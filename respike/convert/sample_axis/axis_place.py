"""Where the batch is in a value, and what a rule is told of an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import Tensor

from ..graph import Node, Ref, function, leaves

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Along:
    """Every sample has ``each`` entries along the axis, one sample after the other, that depend on it alone.

    For any cut of the batch into parts, the value of the whole is the values of the parts joined along the axis.
    That holds for ``before = 1``. Otherwise the axis holds that many such blocks, one behind the other: what
    ``(sequence, batch, features)`` becomes as the rows ``(sequence · batch, features)`` of a matrix.
    """

    axis: int
    each: int = 1
    before: int = 1

    @property
    def first(self) -> bool:
        """Whether the value begins with the samples."""
        return self.axis == 0 and self.before == 1

    def entries(self, rows: Tensor) -> Tensor:
        """Where the entries of some of the samples are along the axis.

        Args:
            rows: Which samples, a mask ``(N,)``.
        """
        return rows.repeat_interleave(self.each).repeat(self.before).nonzero().flatten()


@dataclass(frozen=True)
class Count:
    """A number, ``each`` times the batch size."""

    each: int = 1


class Fixed(Enum):
    """What has no axis of samples."""

    SAME = "same"  # for every batch, whatever is in it and however long it is
    MIXED = "mixed"  # anything else, and what is not proven


Place = Along | Count | Fixed
SAME, MIXED = Fixed.SAME, Fixed.MIXED


class UnprovenError(Exception):
    """The samples may meet."""


@dataclass(frozen=True)
class Call:
    """An operation on values whose places and shapes are known.

    Attributes:
        node: The operation.
        places: Of what it reads, by name.
        shapes: Likewise; None for numbers and lists of tensors.
    """

    node: Node
    places: dict[str, Place]
    shapes: dict[str, Shape | None]

    @property
    def given(self) -> dict[str, Any]:
        """The arguments by their names in the operator's signature."""
        schema = getattr(function(self.node.op), "_schema", None)
        names = [argument.name for argument in schema.arguments] if schema is not None else ["self"]
        return {**dict(zip(names, self.node.args, strict=False)), **self.node.kwargs}

    def arg(self, *names: str, default: Any = None) -> Any:
        """The first argument there is of those names."""
        given = self.given
        return next((given[name] for name in names if name in given), default)

    def place(self, arg: Any) -> Place:
        """Of an argument; a plain one is the same for every batch."""
        return self.places[arg.name] if isinstance(arg, Ref) else SAME

    def along(self, arg: Any) -> Along:
        """The axis of samples of an argument that must have one."""
        place = self.place(arg)
        if not isinstance(place, Along):
            raise UnprovenError
        return place

    def shape(self, arg: Any) -> Shape:
        """Shape of an argument that must be a tensor."""
        shape = self.shapes[arg.name] if isinstance(arg, Ref) else None
        if shape is None:
            raise UnprovenError
        return shape

    def rank(self, arg: Any) -> int:
        """Number of axes of an argument that must be a tensor."""
        return len(self.shape(arg))

    @property
    def result(self) -> Shape:
        """Shape of the result, which must be a tensor."""
        if self.node.shape is None:
            raise UnprovenError
        return self.node.shape

    def count(self, sizes: Any) -> tuple[int, int] | None:
        """Of the sizes of a shape the one that is a multiple of the batch size, and the multiple; None if none is.

        All others must be the same for every batch.
        """
        places = [self.place(n) for n in leaves([sizes])]
        found = [(axis, place.each) for axis, place in enumerate(places) if isinstance(place, Count)]
        if len(found) > 1 or any(place is not SAME and not isinstance(place, Count) for place in places):
            raise UnprovenError
        return found[0] if found else None

    @property
    def first(self) -> tuple[Ref, Along]:
        """The first argument, which must hold all samples; everything else is the same for every batch."""
        x = self.node.args[0]
        place = self.place(x)
        others = [a for a in leaves((self.node.args[1:], self.node.kwargs)) if isinstance(a, Ref)]
        if not isinstance(x, Ref) or not isinstance(place, Along) or any(self.place(a) is not SAME for a in others):
            raise UnprovenError
        return x, place

    def numbers(self, *names: str, default: Any = None) -> list[int]:
        """Whole numbers of an argument, one or several, that the graph states."""
        value = self.arg(*names, default=default)
        found = list(leaves([value]))
        if not all(type(n) is int for n in found):
            raise UnprovenError
        return found

    def axes(self, x: Ref, *names: str, default: Any = None) -> list[int]:
        """The axes that an argument names, counted from the front."""
        rank = max(self.rank(x), 1)
        return [n % rank for n in self.numbers(*names, default=default)]


def need(condition: bool) -> None:
    """Give the proof up where the condition does not hold."""
    if not condition:
        raise UnprovenError


Transfer = Callable[[Call], Place]
"""A rule: the place of the result, or ``UnprovenError``."""
