"""One operation of a graph, and references to values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

BATCH: Final = None
"""The batch axis in a node's ``shape``."""
DERIVED: Final = -1
"""An axis in a node's ``shape`` whose length depends on the batch size."""

# These read a value's shape, not the value.
SHAPE_OPS: Final = frozenset({"aten.sym_size.int", "aten.sym_numel.default", "aten.sym_stride.int"})
FILL_OPS: Final = frozenset(
    f"aten.{name}"
    for name in (
        "zeros_like.default ones_like.default full_like.default empty_like.default fill.Scalar "
        "fill.Tensor new_zeros.default new_ones.default new_full.default new_empty.default"
    ).split()
)


@dataclass(frozen=True)
class Ref:
    """The value of that name."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: Unique in the graph; also the name of its value.
        op: Name of the operation.
        args: Positional arguments; ``Ref``s may stand in lists.
        kwargs: Keyword arguments.
        path: Module path in the user's model, ``""`` for its own forward.
        kind: Type of the user's module, or the function's name.
        shape: Of the value: ``BATCH``, ``DERIVED`` or a number per axis; None if it is no tensor.
        role: What it is in time, one of ``rules.Role``; set by the last pass.
        whole: Whether the value holds whole numbers or truth values; for passes, not kept in files.
    """

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    kind: str = ""
    shape: tuple[int | None, ...] | None = None
    role: str = ""
    whole: bool = False

    @property
    def is_shape(self) -> bool:
        """Whether the value is a number computed from shapes."""
        number = self.op.startswith("operator.") and self.op != "operator.getitem"
        return number or self.op in SHAPE_OPS

    @cached_property
    def refs(self) -> list[str]:
        """Names of the values this node reads, in order."""
        return [a.name for a in leaves((self.args, self.kwargs)) if isinstance(a, Ref)]

    @property
    def where(self) -> str:
        """The node as the user knows it: ``features.3 (ReLU)``, or ``forward: relu_1``."""
        return f"{self.path} ({self.kind})" if self.path else f"forward: {self.name}"


def leaves(tree: Any) -> list[Any]:
    """All leaves of nested lists, tuples and dicts."""
    found: list[Any] = []
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, _INNER) else (tree,):
        if isinstance(item, _INNER):  # most trees are flat, and this runs for every node of every piece
            found += leaves(item)
        else:
            found.append(item)
    return found


def map_leaves(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The same tree with ``fn`` applied to each leaf."""
    if isinstance(tree, dict):
        return {key: map_leaves(fn, item) for key, item in tree.items()}
    if isinstance(tree, _INNER):
        return type(tree)([map_leaves(fn, item) if isinstance(item, _INNER) else fn(item) for item in tree])
    return fn(tree)


_INNER = (list, tuple, dict)
