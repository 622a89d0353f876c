"""On which grid the weights of a node are whole numbers: one for each of its output channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..graph import Graph, Node, Ref
from ..graph.channel_groups import layer_groups
from ..graph.rules import LINEAR, Role
from ..run.neurons import channel_axis

_CONVOLUTIONS = frozenset(f"aten.conv{n}d.{kind}" for n in (1, 2, 3) for kind in ("default", "padding"))
_TRANSPOSED = frozenset({"aten.conv_transpose1d.default", "aten.conv_transpose2d.input", "aten.conv_transpose3d.input"})
_PRODUCTS = frozenset({"aten.matmul.default", "aten.mm.default"})
_FINEST = 20
"""Largest e: float32 counts to 2^24."""


@dataclass(frozen=True)
class Grid:
    """The weights of an output channel are whole numbers times 2^-e.

    Attributes:
        weight: The e of each weight, broadcasting over the weights.
        output: The e of each current, broadcasting over ``(N, ...)``.
        place: Which argument of the node its weights are.
        bias: Which argument its constant current is; None for none.
    """

    weight: Tensor
    output: Tensor
    place: int
    bias: int | None


def grid_of(node: Node, graph: Graph, largest: int) -> Grid | None:
    """The finest grid on which a node's weights are whole numbers up to ``largest``; None if it has no weights."""
    place = weight_at(node, graph)
    if place is None:
        return None
    weight = graph.tensors[node.args[place].name].abs()
    most, axis, groups = _largest_weights(node, graph, place, weight)
    e = (largest / most).log2().floor().clamp(max=_FINEST).to(torch.int32)
    shape = [1] * max(len(node.shape or ()) - 1, 1)
    if axis:
        shape[axis - 1] = -1
    each = e.reshape(shape)
    if groups:  # (groups, 1, channels of a group, 1, ...): the same for all inputs of a group
        e = e.expand(-1, len(weight) // groups, *e.shape[2:]).flatten(0, 1)
    return Grid(e, each, place, _bias_at(node, graph))


def weight_at(node: Node, graph: Graph) -> int | None:
    """Which argument of a node are its synapses' weights; None if it has none."""
    rule = LINEAR.get(node.op)
    if node.role != Role.LINEAR or rule is None or not (rule.weighted or node.op == "aten.mul.Tensor"):
        return None
    first = int(_adds_first(node))
    found = [i for i, a in enumerate(node.args[first : first + 2], first) if _is_weight(a, graph)]
    return found[0] if len(found) == 1 else None


def _bias_at(node: Node, graph: Graph) -> int | None:
    place = 0 if _adds_first(node) else 2
    layer = node.op.startswith(("aten.conv", "aten.linear")) or _adds_first(node)
    return place if layer and len(node.args) > place and _is_weight(node.args[place], graph) else None


def _adds_first(node: Node) -> bool:
    """Whether the first argument is what is added to a product of the other two."""
    return node.op in ("aten.addmm.default", "aten.baddbmm.default")


def _is_weight(arg: Any, graph: Graph) -> bool:
    return isinstance(arg, Ref) and arg.name in graph.tensors and graph.tensors[arg.name].is_floating_point()


def _largest_weights(node: Node, graph: Graph, place: int, weight: Tensor) -> tuple[Tensor, int, int]:
    """The largest weight of each output channel, laid out as the weights are; the channels' axis; groups.

    The axis is 0 if all channels have one grid, groups are 0 where weights do not begin with them.
    """
    last = len(node.shape or ()) - 1
    if node.op in _CONVOLUTIONS:
        return weight.amax(list(range(1, weight.dim())), keepdim=True), 1, 0
    if node.op in _TRANSPOSED:
        grouped = weight.unflatten(0, (layer_groups(node), -1))  # (groups, inputs, outputs, ...)
        return grouped.amax([1, *range(3, grouped.dim())], keepdim=True), 1, len(grouped)
    if node.op == "aten.linear.default":
        return weight.amax(1, keepdim=True), last, 0
    if (node.op in _PRODUCTS or node.op == "aten.addmm.default") and weight.dim() == 2 and place > 0:
        right = place == len(node.args) - 1 if node.op in _PRODUCTS else place == 2
        if right:
            return weight.amax(0, keepdim=True), last, 0
    if node.op == "aten.mul.Tensor":
        axis = channel_axis(node, graph)
        at = axis - (last + 1 - weight.dim())
        if axis and at >= 0 and weight.shape[at] == (node.shape or ())[axis]:
            other = [i for i in range(weight.dim()) if i != at]
            return (weight.amax(other, keepdim=True) if other else weight), axis, 0
    return weight.amax().reshape([1] * weight.dim()), 0, 0
