"""Synapses that spikes feed, and which of them add up events instead of multiplying zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from torch import Tensor

from ...layers import kernels
from ..graph import Graph, Node, Ref
from ..graph.channel_groups import layer_groups
from ..graph.rules import LINEAR, MAXIMA, MOVES, POOLS, Role

SYNAPSES = frozenset({"aten.linear.default", "aten.conv1d.default", "aten.conv2d.default"})
"""What there are kernels for."""
_ZEROS_STAY = "neg mul.Scalar mul.Tensor div.Scalar div.Tensor constant_pad_nd split.Tensor split_with_sizes chunk"
CARRY = MOVES | {f"aten.{n if '.' in n else f'{n}.default'}" for n in _ZEROS_STAY.split()} | {"operator.getitem"}
"""Operations of one signal in which 0 stays 0."""
JOIN = frozenset({"aten.cat.default", "aten.stack.default", "aten.add.Tensor", "aten.sub.Tensor"})
"""The same of several: what is 0 in all of them stays 0."""


Pair = tuple[int, int]


def sparse(graph: Graph) -> frozenset[str]:
    """Names of the values that are mostly 0 in each step: spikes, and what they become without being mixed.

    Averages and other sums over space are not among them: few of their values are 0.
    """
    found: set[str] = set()
    for node in graph.nodes:
        signals = [name for name in node.refs if name in graph.timed]
        fed = bool(signals) and found.issuperset(signals)
        one = node.op in CARRY or node.op in MAXIMA
        if node.role == Role.SPIKE or (fed and (one or (node.op in JOIN and len(signals) == len(node.refs)))):
            found.add(node.name)
    return frozenset(found)


def one_by_one(graph: Graph) -> frozenset[str]:
    """Names of the values that are spikes as they are sent, moved or pooled: not joined with others."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.role == Role.SPIKE or (node.op in MOVES | POOLS and node.refs[0] in found):
            found.add(node.name)
    return frozenset(found)


def why_dense(
    graph: Graph, weights: Mapping[str, Tensor], sparse: Set[str], late: Set[str] = frozenset()
) -> dict[str, str]:
    """For each layer of synapses whose input varies in time, by name, why it does not add up events; ``""`` if it does.

    Args:
        graph: With roles set.
        weights: The graph's tensors, on the device that they are used on.
        sparse: Of the graph.
        late: Names of the nodes that are applied to means over time.
    """
    found = {}
    for node in graph.nodes:
        rule = LINEAR.get(node.op)
        if rule is not None and rule.weighted and node.name in graph.timed and node.role == Role.LINEAR:
            means = "behind the last neurons, fed by means over time, of which few are 0"
            found[node.name] = means if node.name in late else _why_dense(node, weights, sparse, False)
    for node in graph.nodes:
        readers = [reader.name for reader in graph.users.get(node.refs[0], [])] if found.get(node.name) else []
        if node.name not in late and any(found.get(name) == "" for name in readers):
            found[node.name] = _why_dense(node, weights, sparse, True)
    return found


def _why_dense(node: Node, weights: Mapping[str, Tensor], sparse: Set[str], shared: bool) -> str:
    if node.op not in SYNAPSES:
        return "no kernel for this operation"
    if node.refs[0] not in sparse:
        return "fed by averages or sums, of which few are 0"
    weight, *bias = node.args[1:3]
    if not all(isinstance(x, Ref) and x.name in weights for x in (weight, *(b for b in bias if b is not None))):
        return "weights that are computed"
    return kernels.why_dense(weights[weight.name], *_as_image(node), shared)


def sparse_below(node: Node, weight: Tensor) -> float:
    """The share of active spikes below which adding up events is quicker than vectors of 8 bits (VNNI)."""
    sides = [n for n in (node.shape or ())[2:] if n is not None and n > 0] if node.op == "aten.conv2d.default" else []
    return kernels.sparse_below(weight, *_as_image(node), side=min(sides, default=1))


def compact(graph: Graph, by_events: Set[str], paired: Set[str] = frozenset()) -> frozenset[str]:
    """Names of the neurons whose spikes only what takes 8 bits reads, as they are or pooled.

    Args:
        graph: With roles set.
        by_events: Names of the synapses that add up events.
        paired: Names of the sums that are left to the neurons that read them.
    """
    readers = by_events | paired
    found: dict[str, bool] = {}
    for node in reversed(graph.nodes):
        users = graph.users.get(node.name, [])
        found[node.name] = bool(users) and all(
            user.name in readers or (user.op in MOVES | POOLS and found[user.name]) for user in users
        )
    outputs = set(graph.output_names())
    return frozenset(n.name for n in graph.nodes if n.role == Role.SPIKE and found[n.name] and n.name not in outputs)


def event_synapses(node: Node, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """The operation of a node, one of ``SYNAPSES``, on spikes ``(M, ...)``, by events."""
    if node.op == "aten.linear.default":
        rows = kernels.event_synapses(weight[:, :, None, None], bias, *_as_image(node))
        return lambda x: rows(x.reshape(-1, x.shape[-1], 1, 1)).reshape(*x.shape[:-1], -1)
    if node.op == "aten.conv2d.default":
        return kernels.event_synapses(weight, bias, *_as_image(node))
    of_lines = kernels.event_synapses(weight.unsqueeze(2), bias, *_as_image(node))
    return lambda x: of_lines(x.unsqueeze(2)).squeeze(2)


def _as_image(node: Node) -> tuple[Pair, Pair, Pair, int]:
    """Stride, padding, dilation and groups of the convolution of images that a node is a case of.

    A line is an image of one row, on which nothing but the kernel's only row lies.
    """
    if node.op == "aten.linear.default":
        return (1, 1), (0, 0), (1, 1), 1
    stride, padding, dilation = (_numbers(node, index, usual) for index, usual in ((3, 1), (4, 0), (5, 1)))
    if node.op == "aten.conv1d.default":
        stride, padding, dilation = (1, stride[1]), (0, padding[1]), (1, dilation[1])
    return stride, padding, dilation, layer_groups(node)


def _numbers(node: Node, index: int, usual: int) -> Pair:
    given = node.args[index] if len(node.args) > index else usual
    numbers = [given] if isinstance(given, int) else list(given)
    return numbers[0], numbers[-1]
