"""What an operation's arguments may be: much of it torch finds out by itself, but not where there are no numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...text import shown
from ..errors import FormatError
from ..graph import BATCH, RELU, Graph, Node, Ref, function, leaves
from . import limits
from .allowed_operations import operations

_WINDOWED = re.compile(r"aten\.(conv|.*pool|_?upsample|pad|.*_pad|im2col|col2im|unfold|pixel|channel_shuffle)")
_SIDES = frozenset({"kernel_size", "stride", "padding", "dilation", "output_padding"})
_WEIGHTED = re.compile(r"aten\.(conv|linear|embedding)")
_AXES = frozenset({"dim", "dims", "dim0", "dim1", "start_dim", "end_dim", "source", "destination"})
_SPECIAL = {
    torch.dtype: "ScalarType",
    torch.layout: "Layout",
    torch.memory_format: "MemoryFormat",
    torch.device: "Device",
}
_MAKES_AXES = ("aten.unsqueeze.", "aten.stack.")


def label(node: Node) -> str:
    """The node as messages name it."""
    return f"operation {shown(node.name)!r} ({shown(node.op)})"


def check_arguments(node: Node, graph: Graph) -> None:
    """Raise for arguments that could harm the machine, or that some of torch's kernels take without looking.

    Raises:
        FormatError: the first that is wrong.
    """
    if node.op not in operations():
        raise FormatError(f"operation {shown(node.name)!r} is {shown(node.op)!r}, which is not in the table")
    _check_count(node)
    if node.op == "operator.getitem":
        source, index = node.args if len(node.args) == 2 else (None, None)
        if not isinstance(source, Ref) or type(index) is not int:
            raise FormatError(f"{label(node)} must take a value and a whole number")
    elif node.is_shape and node.op.startswith("operator."):  # which would multiply texts and lists, too
        sources = [graph.node(a.name) if isinstance(a, Ref) else a for a in node.args]
        if not all(s.is_shape if isinstance(s, Node) else type(s) in (int, float) for s in sources):
            raise FormatError(f"{label(node)} computes with something else than numbers")
    _check_numbers(node)
    _check_pieces(node, graph)
    for name, kind, value in _named(node):
        _check_kind(node, name, kind, list(leaves(value)))
        _check_place(node, graph, name, [n for n in leaves(value) if type(n) is int])


def _check_count(node: Node) -> None:
    """As many arguments as the operation takes, of the names that it gives them, none twice."""
    if node.op == RELU:
        names, needed = ["x", "cap", "levels", "step", "shift", "two_sided"], {"x"}
    elif node.op.startswith("operator."):
        names = ["a"] if node.op == "operator.neg" else ["a", "b"]
        needed = set(names)
    else:
        names = [a.name for a in _schema(node) if not a.kwarg_only or a.name in node.kwargs]
        needed = {a.name for a in _schema(node) if not a.has_default_value()}
    placed = names[: len(node.args)]
    odd = sorted({*node.kwargs} - {*names} | {*node.kwargs} & {*placed} | needed - {*placed, *node.kwargs})
    if len(node.args) > len(names) or odd:
        raise FormatError(
            f"{label(node)} has arguments that it does not take, or lacks some: {', '.join(map(shown, odd))}"
            if odd
            else f"{label(node)} has {len(node.args)} arguments and takes {len(names)}"
        )
    if node.is_shape and node.kwargs:
        raise FormatError(f"{label(node)} takes its arguments by place, not by name")


def _schema(node: Node) -> list[Any]:
    """What torch says of the operation's arguments."""
    return list(function(node.op)._schema.arguments)  # type: ignore[attr-defined]


def _check_numbers(node: Node) -> None:
    numbers = [a for a in leaves((node.args, node.kwargs)) if type(a) in (int, float)]
    largest = limits.WINDOW if _WINDOWED.match(node.op) else 2**63
    if any(math.isfinite(n) and not -largest <= n < largest for n in numbers):
        raise FormatError(f"{label(node)} has an argument beyond {largest:,}")
    # Kernels of this one trust a scale that is given beside the size.
    if node.op.startswith(("aten.upsample", "aten._upsample")) and not all(
        1 / limits.WINDOW <= n <= limits.WINDOW for n in numbers
    ):
        raise FormatError(f"{label(node)} has a scale or a size that no picture has")


def _check_pieces(node: Node, graph: Graph) -> None:
    """What cuts a value up gives as many tensors as that is long."""
    if node.op.startswith(("aten.split", "aten.chunk", "aten.unbind")):
        for name in node.refs:
            if any(n is not BATCH and n > limits.WINDOW for n in graph.shape(name) or ()):
                raise FormatError(f"{label(node)} cuts something of more than {limits.WINDOW:,} into pieces")


def _named(node: Node) -> list[tuple[str, str, Any]]:
    """The arguments with their names and their types, as torch spells these."""
    if not node.op.startswith("aten."):
        return []
    schema = {argument.name: str(argument.real_type) for argument in _schema(node)}
    values = [*zip(schema, node.args, strict=False), *node.kwargs.items()]
    return [(name, schema[name], value) for name, value in values]


def check_weights(node: Node, values: Mapping[str, Any]) -> None:
    """Raise for weights and biases of other lengths than the layer's, which torch finds out only with numbers.

    Args:
        node: Any operation; those without weights are left alone.
        values: What it reads, by name.

    Raises:
        FormatError: the first that is wrong.
    """
    if not _WEIGHTED.match(node.op):
        return
    given = {name: values[value.name] for name, _, value in _named(node) if isinstance(value, Ref)}
    others = {name: value for name, _, value in _named(node) if not isinstance(value, Ref)}
    weight, bias = given.get("weight"), given.get("bias")
    if not isinstance(weight, Tensor) or not weight.numel():
        raise FormatError(f"{label(node)} has no weights")
    if weight.dim() < 2 or node.op.startswith("aten.embedding"):
        return
    transposed = "conv_transpose" in node.op or others.get("transposed") is True
    groups = others.get("groups", 1)
    groups = groups if type(groups) is int else 0
    wide = weight.shape[1] * groups if transposed else weight.shape[0]
    if transposed:
        x = given.get("input")
        read = x.shape[1 - weight.dim()] if isinstance(x, Tensor) and x.dim() >= weight.dim() - 1 else None
        if groups < 1 or weight.shape[0] % groups or read != weight.shape[0]:
            about = f"weights for {weight.shape[0]} channels (groups: {groups}) and reads {read}"
            raise FormatError(f"{label(node)} has {about}")
    same = node.op.startswith("aten.linear") and isinstance(bias, Tensor) and bias.numel() == 1  # for all outputs
    if isinstance(bias, Tensor) and tuple(bias.shape) != (wide,) and not same:
        raise FormatError(f"{label(node)} has a bias of the shape {tuple(bias.shape)} for {wide} outputs")


def _check_kind(node: Node, name: str, kind: str, values: list[Any]) -> None:
    """Torch would take a type or a layout for a number."""
    for value in values:
        for special, spelling in _SPECIAL.items():
            if isinstance(value, special) and spelling not in kind:
                raise FormatError(f"{label(node)} has {value} as its {name}, which is of another kind")


def _check_place(node: Node, graph: Graph, name: str, numbers: list[int]) -> None:
    """Axes that the first tensor has, and no more sides than a window has."""
    first = graph.shape(node.refs[0]) if node.refs else None
    sides = re.match(r"aten\.(?:conv\w*|\w*pool)(\d)d[._]", node.op)
    if sides is not None and name in _SIDES and len(numbers) > max(1, int(sides[1])):
        raise FormatError(f"{label(node)} has a {name} of {len(numbers)} numbers")
    if name in _AXES and first is not None:
        rank = max(len(first), 1) + node.op.startswith(_MAKES_AXES)
        if not all(-rank <= n < rank for n in numbers):
            raise FormatError(f"{label(node)} wants axis {numbers}, and what it reads has {len(first)}")
