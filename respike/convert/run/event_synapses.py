"""Synapses that are fed by spikes, and their currents at a cost that follows the number of spikes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ...layers import kernels
from ..graph import Graph, Node
from ..graph.channel_groups import layer_groups
from ..graph.rules import MAXIMA, MOVES, Role

CARRY = MOVES | {
    f"aten.{name}"
    for name in (
        "neg.default mul.Scalar mul.Tensor div.Scalar div.Tensor constant_pad_nd.default split.Tensor split_with_sizes.default chunk.default"
    ).split()
} | {"operator.getitem"}  # fmt: skip
"""Operations that leave 0 what is 0, of one signal."""
JOIN = frozenset({"aten.cat.default", "aten.stack.default", "aten.add.Tensor", "aten.sub.Tensor"})
"""The same of several: what is 0 in all of them stays 0."""


def sparse(graph: Graph) -> frozenset[str]:
    """Names of the values that are mostly 0 in each step: spikes, and what spikes become without being mixed.

    Sums over space and means are not among them: few of their values are 0.
    """
    found: set[str] = set()
    for node in graph.nodes:
        signals = [name for name in node.refs if name in graph.timed]
        fed = bool(signals) and found.issuperset(signals)
        one = node.op in CARRY or node.op in MAXIMA
        if node.role == Role.SPIKE or (fed and (one or (node.op in JOIN and len(signals) == len(node.refs)))):
            found.add(node.name)
    return frozenset(found)


def event_synapses(node: Node, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor] | None:
    """The operation of a node on spikes ``(M, ...)`` by events; None where a dense one is quicker, or the only one."""
    geometry = _geometry(node)
    if geometry is None:
        return None
    if node.op == "aten.linear.default":
        apply = kernels.event_synapses(weight[:, :, None, None], bias, *geometry, 1)
        return None if apply is None else _of_rows(apply)
    flat = weight.dim() == 3
    apply = kernels.event_synapses(weight.unsqueeze(2) if flat else weight, bias, *geometry, layer_groups(node))
    return apply if apply is None or not flat else _of_lines(apply)


def _of_rows(apply: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def linear(x: Tensor) -> Tensor:
        found = apply(x.reshape(-1, x.shape[-1], 1, 1))
        return found.reshape(*x.shape[:-1], -1)

    return linear


def _of_lines(apply: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: apply(x.unsqueeze(2)).squeeze(2)


def _geometry(node: Node) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    """Stride, padding and dilation as those of images; None for an operation that is not done by events."""
    if node.op == "aten.linear.default":
        return (1, 1), (0, 0), (1, 1)
    if node.op not in ("aten.conv1d.default", "aten.conv2d.default"):
        return None
    size = 1 if node.op == "aten.conv1d.default" else 2
    stride, padding, dilation = (_numbers(node, i, usual, size) for i, usual in ((3, 1), (4, 0), (5, 1)))
    return stride, padding, dilation


def _numbers(node: Node, index: int, usual: int, size: int) -> tuple[int, int]:
    """A pair; of a line the first is what leaves the only row as it is."""
    given = node.args[index] if len(node.args) > index else usual
    numbers = [given] if isinstance(given, int) else list(given)
    numbers = numbers * (size // len(numbers))
    return (numbers[0], numbers[1]) if size == 2 else (int(usual), numbers[0])


