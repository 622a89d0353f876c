"""Fold factors and summands per channel, batch norm's among them, into the synapses before them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..graph import Graph, Node, Ref, Rewriter, rewrite
from .constants import constant

_FACTORS = {"aten.mul.Tensor", "aten.mul.Scalar", "aten.div.Tensor", "aten.div.Scalar"}
_SUMMANDS = {"aten.add.Tensor", "aten.add.Scalar", "aten.sub.Tensor", "aten.sub.Scalar"}


def fold_scales(graph: Graph) -> Graph:
    """Y = (W·x + b)·s + c becomes y = (s·W)·x + (s·b + c) where nothing else reads W·x + b.

    Requires: batch norm spelled as factor and summand.
    """
    readers = {name: len(users) for name, users in graph.users.items()}
    for name in graph.output_names():
        readers[name] = readers.get(name, 0) + 1
    alone: set[str] = {n.name for n in graph.nodes if readers.get(n.name) == 1}

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op not in _FACTORS | _SUMMANDS or node.kwargs:
            return rewriter.keep(node)
        x, other = node.args
        if not isinstance(x, Ref) or x.name in rewriter.tensors:
            x, other = other, x
            if node.op.split(".")[1] not in ("mul", "add"):
                return rewriter.keep(node)
        synapses, value = rewriter.find(x), constant(rewriter, other)
        if synapses is None or value is None or x.name not in alone:
            return rewriter.keep(node)
        per_channel = _per_channel(value, synapses, rewriter)
        if per_channel is None or node.shape != synapses.shape:
            return rewriter.keep(node)
        if node.op.split(".")[1] in ("div", "sub"):
            per_channel = 1 / per_channel if "div" in node.op else -per_channel
        rewriter.swap(_folded(synapses, per_channel, node.op in _FACTORS, rewriter))
        if node.name in alone:
            alone.add(synapses.name)
        else:
            alone.discard(synapses.name)
        return Ref(synapses.name)

    return rewrite(graph, step)


def _channels(node: Node, rewriter: Rewriter) -> tuple[int, int] | None:
    """Number of output channels, and the axes of the output behind the channel axis."""
    name = node.op.split(".")[1]
    weight = rewriter.tensors.get(getattr(node.args[1], "name", "")) if len(node.args) > 1 else None
    if weight is None or node.shape is None:
        return None
    if name == "linear":
        return weight.shape[0], 0
    if name in ("conv1d", "conv2d", "conv3d"):
        return weight.shape[0], len(node.shape) - 2
    if name.startswith("conv_transpose"):
        groups = node.args[6] if len(node.args) > 6 else 1
        return weight.shape[1] * groups, len(node.shape) - 2
    return None


def _per_channel(value: Tensor | float, node: Node, rewriter: Rewriter) -> Tensor | None:
    """The value as one number per output channel, ``(C,)`` in float64; None if it varies otherwise."""
    found = _channels(node, rewriter)
    if found is None:
        return None
    count, behind = found
    if isinstance(value, float):
        return torch.full((count,), value, dtype=torch.float64, device=rewriter.tensors[node.args[1].name].device)
    shape = list(value.shape)
    while shape and shape[0] == 1 and len(shape) > behind + 1:
        shape = shape[1:]
    if shape != [count] + [1] * behind:
        return None
    return value.double().reshape(count)


def _folded(node: Node, value: Tensor, factor: bool, rewriter: Rewriter) -> Node:
    args = [*node.args, *[None] * (3 - len(node.args))]
    weight = rewriter.tensors[args[1].name]
    bias = None if args[2] is None else rewriter.tensors[args[2].name].double()
    if factor:
        scaled = (weight.double() * _across(value, node, weight)).to(weight.dtype)
        args[1] = rewriter.tensor(f"{node.name}_weight", scaled)
        bias = None if bias is None else bias * value
    else:
        bias = value if bias is None else bias + value
    args[2] = None if bias is None else rewriter.tensor(f"{node.name}_bias", bias.to(weight.dtype))
    return replace(node, args=tuple(args))


def _across(value: Tensor, node: Node, weight: Tensor) -> Tensor:
    """The numbers per output channel, laid out to multiply the weight."""
    behind = [1] * (weight.dim() - 2)
    if "transpose" not in node.op:
        return value.reshape(-1, *[1] * (weight.dim() - 1))
    # Transposed weights are (in, out per group, ...), the groups stacked along ``in``.
    groups = node.args[6] if len(node.args) > 6 else 1
    rows = value.reshape(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1)
    return rows.reshape(weight.shape[0], -1, *behind)
