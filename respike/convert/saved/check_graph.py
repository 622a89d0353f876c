"""What a graph must be before anything of it is run on numbers: found out without its author's word for it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...text import shown
from ..errors import ConversionError, FormatError
from ..graph import BATCH, DERIVED, Graph, Node, Ref, leaves
from ..graph.rules import LINEAR, OF_MEANS, Role
from ..passes.roles import verdicts
from ..run.analog import Analog
from ..run.graph_walk import Walk
from . import limits
from .argument_types import check_arguments, check_weights, label

_NAME = re.compile(rf"[A-Za-z0-9_]{{1,{limits.NAME}}}")


def check(graph: Graph, kind: torch.dtype) -> None:
    """Raise for a graph that the executor could not run.

    Its operations are those of the table, read only what was made before them, have the roles that they get at
    conversion, and give what the graph says they do: that is followed with the shapes alone.

    Args:
        graph: As a file has it.
        kind: The type in which the network computes.

    Raises:
        FormatError: the first thing that is wrong.
    """
    if len(graph.nodes) > limits.NODES:
        raise FormatError(f"its graph has {len(graph.nodes):,} operations; the most that is read is {limits.NODES:,}")
    if not graph.inputs or not graph.outputs:
        raise FormatError("its graph has no inputs or no outputs")
    _check_names(graph)
    _check_order(graph)
    for node in graph.nodes:
        if node.shape is not None and not _is_shape(node.shape):
            raise FormatError(f"{label(node)} has an impossible shape: {shown(repr(node.shape))}")
    for node in graph.nodes:
        check_arguments(node, graph)
    _check_finite(graph)
    _check_roles(graph)
    _follow(graph, _batch(graph), kind)


def _check_names(graph: Graph) -> None:
    names = [*graph.inputs, *graph.tensors, *(node.name for node in graph.nodes)]
    for name, count in Counter(names).items():
        if not _NAME.fullmatch(name):
            raise FormatError(f"{shown(name)!r} is not a name: names are letters, digits and '_'")
        if count > 1:
            raise FormatError(f"the name {shown(name)!r} is given {count} times")


def _check_order(graph: Graph) -> None:
    seen = {*graph.inputs, *graph.tensors}
    made = {node.name for node in graph.nodes}
    for node in graph.nodes:
        for name in node.refs:
            if name not in seen:
                why = "made only after it: they are out of order or wait for each other" if name in made else "nowhere"
                raise FormatError(f"{label(node)} reads {shown(name)!r}, which is {why}")
        seen.add(node.name)
    for leaf in graph.outputs:
        if isinstance(leaf, Ref) and leaf.name not in seen:
            raise FormatError(f"its output {shown(leaf.name)!r} is nowhere")
    read = [leaf.name for leaf in graph.leaves if isinstance(leaf, Ref)]
    if read != list(graph.inputs):
        raise FormatError("its arguments are not its inputs, one after the other")
    for what, spec, found in (
        ("outputs", graph.out_spec, graph.outputs),
        ("arguments", graph.in_spec, graph.leaves),
    ):
        if spec.num_leaves != len(found):
            raise FormatError(f"its {what} are {len(found)}, and their structure has {spec.num_leaves} places")
    given = graph.in_spec.unflatten(graph.leaves)
    if type(given) is not tuple or len(given) != 2 or type(given[0]) is not tuple or given[1] != {}:
        raise FormatError("its arguments must be a tuple of positional ones and an empty dict of others")


def _is_shape(shape: Iterable[int | None]) -> bool:
    sizes = [1 if n is BATCH else n for n in shape]
    within = len(sizes) <= limits.AXES and all(DERIVED <= n <= limits.ELEMENTS for n in sizes)
    return within and math.prod(max(n, 1) for n in sizes) <= limits.ELEMENTS


def _check_finite(graph: Graph) -> None:
    """Infinity may stand where something is masked, in a head, analog or in a function of the input; NaN nowhere."""
    masks = {
        name for name in graph.tensors if all(_is_curved(user) for user in graph.users.get(name, [Node("", "", ())]))
    }
    for name, value in graph.tensors.items():
        bad = value.isnan() if name in masks else ~value.isfinite()
        if bool(bad.any()):
            raise FormatError(f"the weight {shown(name)!r} holds numbers that are not finite")


def _is_curved(node: Node) -> bool:
    return node.role in OF_MEANS or node.role in (Role.HEAD, Role.STATIC)


def _check_roles(graph: Graph) -> None:
    """A role is what conversion gives; only ``analog`` is the user's choice, and taken from the file."""
    bare = replace(graph, nodes=[replace(node, path="") for node in graph.nodes])
    analog = [node.name for node in graph.nodes if node.role == Role.ANALOG]
    try:
        judged, refused = verdicts(bare, analog)
    except ConversionError as error:
        raise FormatError(f"its analog operations need not be: {error}") from error
    if refused:
        raise FormatError(f"{shown(refused[0].where)} cannot be part of a spiking network: it {refused[0].why}")
    for node, right in zip(graph.nodes, judged.nodes, strict=True):
        if node.role != right.role:
            raise FormatError(f"{label(node)} has the role {shown(node.role)!r}, and is {right.role!r} by the rules")
    if not any(node.role == Role.SPIKE for node in graph.nodes):
        raise FormatError("there is no spiking layer in it")


def kind_of(tensors: Iterable[Tensor]) -> torch.dtype:
    """The type in which a network computes: that of its first tensor of real numbers."""
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)


class _Shapes(Analog):
    def spike(self, node: Node, x: Any) -> Any:
        return x


def _batch(graph: Graph) -> int:
    """A batch size that no length in the graph can be taken for: a prime that divides none of them."""
    shapes = [*graph.inputs.values(), *(n.shape or () for n in graph.nodes), *(t.shape for t in graph.tensors.values())]
    numbers = {abs(n) for n in leaves([shapes, [n.args for n in graph.nodes]]) if type(n) is int and n}
    for prime in (31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 1009, 10007):
        if not any(n % prime == 0 for n in numbers):
            return prime
    raise FormatError("the batch axis is ambiguous: too many sizes in its graph could be the batch's")


@torch.no_grad()
def _follow(graph: Graph, batch: int, kind: torch.dtype) -> None:
    """Go through the graph with shapes alone: tensors on the device ``meta`` have no numbers."""
    for name, shape in graph.inputs.items():
        if not _is_shape(shape) or DERIVED in shape:
            raise FormatError(f"the input {shown(name)!r} has an impossible shape: {shown(repr(shape))}")
    inputs = [
        torch.empty(_sizes(shape, batch), dtype=graph.integers.get(name, kind), device="meta")
        for name, shape in graph.inputs.items()
    ]
    walk = Walk(graph, {name: value.to("meta") for name, value in graph.tensors.items()}, inputs)
    elements, tensors = 0, 0
    for node in graph.nodes:
        check_weights(node, walk.env)
        try:
            value = walk.evaluate(node, _Shapes())
        except Exception as error:  # torch raises most things there are
            reason = shown(str(error).strip().split("\n")[0], 200)
            raise FormatError(f"{label(node)} cannot be computed: {reason}") from error
        walk.env[node.name] = value
        sizes = _check_value(node, value, batch)
        elements, tensors = elements + sum(sizes), tensors + len(sizes)
        if elements > limits.ALL_ELEMENTS * batch or tensors > limits.TENSORS:
            raise FormatError(f"its values are more than {limits.ALL_ELEMENTS:,} numbers a sample, or too many tensors")
        _check_kinds(node, [walk.env[name] for name in node.refs], kind)


def _sizes(shape: Iterable[int | None], batch: int) -> list[int]:
    return [batch if n is BATCH else n for n in shape]


def _check_value(node: Node, value: Any, batch: int) -> list[int]:
    """How many numbers each of its tensors has."""
    tensors = [v for v in leaves(value) if isinstance(v, Tensor)]
    if isinstance(value, Tensor) and node.shape is not None:
        wanted = _sizes(node.shape, batch)
        if len(wanted) != value.dim() or any(n not in (DERIVED, m) for n, m in zip(wanted, value.shape, strict=True)):
            raise FormatError(f"{label(node)} gives {tuple(value.shape)} where the file says {tuple(wanted)}")
    elif (node.shape is not None) != isinstance(value, Tensor):
        raise FormatError(f"{label(node)} gives a {type(value).__name__}, not what the file says")
    elif not tensors and not (isinstance(value, (int, float)) and abs(value) < 2**63):
        raise FormatError(f"{label(node)} gives neither tensors nor a number")
    if any(t.numel() > limits.ELEMENTS * batch or t.dim() > limits.AXES for t in tensors):
        raise FormatError(f"{label(node)} gives more than {limits.ELEMENTS:,} numbers for each sample")
    return [t.numel() for t in tensors]


def _check_kinds(node: Node, read: list[Any], kind: torch.dtype) -> None:
    """Neurons and synapses compute with real numbers, all of one type."""
    rule = LINEAR.get(node.op)
    if node.role == Role.SPIKE or (node.role == Role.LINEAR and rule is not None and rule.weighted):
        for value in read:
            if isinstance(value, Tensor) and value.dtype != kind:
                raise FormatError(f"{label(node)} reads {value.dtype} where the network computes in {kind}")
