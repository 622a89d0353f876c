"""Where the batch is in every value, proven node by node: what may be cut into pieces, and what may not.

Every value has a place: the axis that its samples are along (``Along``); ``SAME``, if it is the same for every batch; a
number that counts samples (``Count``); or ``MIXED``, if samples meet in it, or if nothing else is proven. The inputs
begin with the batch, and each operation's rule (``rule_table.py``) says what it makes of the places of what it reads.

A network may be run on pieces of a batch if all of its outputs are ``Along`` or ``SAME``: what mixes is then read by
nothing. In ``(T, N, ...)`` time lies before the batch, so that an operation that takes ``Along(0)`` to ``Along(0)`` may
be given T batches one after the other, as if there were T times as many samples: that is how time is folded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..graph import BATCH, DERIVED, Graph, Node, Ref, leaves
from ..graph.rules import RESHAPES
from .axis_place import MIXED as MIXED
from .axis_place import SAME as SAME
from .axis_place import Along as Along
from .axis_place import Call, Place, Shape, UnprovenError
from .axis_place import Count as Count
from .rule_table import rule

_RANDOM = re.compile(r"rand|normal|bernoulli|dropout|multinomial|poisson|exponential|empty")


def places(graph: Graph) -> dict[str, Place]:
    """The place of every value of a graph, found out once."""
    if "places" not in graph.found:
        found: dict[str, Place] = {name: _entry(shape) for name, shape in graph.inputs.items()}
        found.update(dict.fromkeys(graph.tensors, SAME))
        for node in graph.nodes:
            found[node.name] = _agrees(place_of(node, graph, found), node.shape)
        graph.found["places"] = found
    known: dict[str, Place] = graph.found["places"]
    return known


def apart(graph: Graph) -> bool:
    """Whether a batch may be cut into pieces: all outputs hold samples that have never met, or are always the same."""
    where = places(graph)
    found = [where[name] for name in graph.output_names()]
    return all(place is SAME or (isinstance(place, Along) and place.before == 1) for place in found)


def place_of(node: Node, graph: Graph, found: Mapping[str, Place]) -> Place:
    """The place of a node's value from the places of what it reads, whether its shape agrees with it or not."""
    read = [found[name] for name in node.refs]
    if node.is_shape:
        return _number(node, graph, found)
    if MIXED in read or _RANDOM.search(node.op):
        return MIXED
    if all(place is SAME for place in read):
        return SAME
    if node.op == "operator.getitem":
        return found[node.args[0].name]
    transfer = rule(node.op)
    if transfer is None:
        return MIXED
    try:
        return transfer(Call(node, {name: found[name] for name in node.refs}, {n: _shape(graph, n) for n in node.refs}))
    except UnprovenError:
        return MIXED


def begins(node: Node, graph: Graph, found: Mapping[str, Place]) -> dict[str, Place] | None:
    """The places of what a node reads, if it may be given several batches one after the other; None if it may not.

    It may if it works on each sample, along axis 0 of all that holds samples. That is said of the node alone: whatever
    begins with the batch counts as samples, even if they have met before.
    """
    read = {name: _begins(graph, name, found) for name in node.refs}
    moved = any(isinstance(place, Along) and not place.first for place in read.values())
    counts = any(isinstance(place, Count) for place in read.values()) and node.op not in RESHAPES
    place = place_of(node, graph, read)
    if moved or counts or not isinstance(place, Along) or not place.first:
        return None
    # An operation that gives several tensors has no shape of its own: those that pick one have theirs.
    shapes = [node.shape] if node.shape is not None else [n.shape for n in graph.users.get(node.name, [])]
    return read if all(shape is not None and _agrees(place, shape) is place for shape in shapes) else None


def _begins(graph: Graph, name: str, found: Mapping[str, Place]) -> Place:
    shape = _shape(graph, name)
    mixed = found[name] is MIXED and shape and shape[0] is BATCH and not any(n in (BATCH, DERIVED) for n in shape[1:])
    return Along(0) if mixed else found[name]


def _entry(shape: Shape) -> Place:
    return _agrees(Along(0), shape) if shape else SAME


def _shape(graph: Graph, name: str) -> Shape | None:
    return graph.shape(name)


def _agrees(place: Place, shape: Shape | None) -> Place:
    """The place, or ``MIXED`` where the traced shape varies with the batch along another axis than the samples'."""
    if shape is None:
        return place
    varying = {axis: n for axis, n in enumerate(shape) if n is BATCH or n == DERIVED}
    if isinstance(place, Along):
        return place if varying == {place.axis: BATCH if place.each * place.before == 1 else DERIVED} else MIXED
    return MIXED if varying else place


def _number(node: Node, graph: Graph, found: Mapping[str, Place]) -> Place:
    """The place of a number: of a length, or of what is computed from lengths."""
    if node.op == "aten.sym_size.int":
        name, axis = node.args[0].name, node.args[1]
        length = (_shape(graph, name) or ())[axis]
        if length is BATCH:
            return Count()
        place = found[name]
        here = isinstance(place, Along) and place.axis == axis % len(_shape(graph, name) or ())
        if length != DERIVED:
            return SAME
        return Count(place.each * place.before) if here and isinstance(place, Along) else MIXED
    read = [found[a.name] if isinstance(a, Ref) else a for a in leaves(node.args)]
    if all(not isinstance(a, (Along, Count)) and a is not MIXED for a in read):
        return SAME if not node.op.startswith("aten.") else _whole(node, graph)
    return _scaled(node, read)


def _whole(node: Node, graph: Graph) -> Place:
    """The number of all entries, or a stride, of a tensor."""
    shapes = [_shape(graph, name) or () for name in node.refs]
    return MIXED if any(n is BATCH or n == DERIVED for shape in shapes for n in shape) else SAME


def _scaled(node: Node, read: list[Any]) -> Place:
    """A multiple of the batch size times or over a whole number."""
    counts = [a for a in read if isinstance(a, Count)]
    numbers = [a for a in read if type(a) is int]
    if len(counts) != 1 or len(numbers) != 1:
        return MIXED
    (count,), (number,) = counts, numbers
    if node.op == "operator.mul" and number > 0:
        return Count(count.each * number)
    if node.op == "operator.floordiv" and number > 0 and read[0] is count and count.each % number == 0:
        return Count(count.each // number)
    return MIXED
