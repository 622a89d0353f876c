"""Names of values in an ONNX graph, those in the subgraphs of its nodes too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names of the values that a node reads, those that its subgraphs take from outside among them."""
    yield from (name for name in node.input if name)
    for graph in subgraphs(node):
        own = {value.name for value in [*graph.input, *graph.initializer]}
        own |= {name for inner in graph.node for name in inner.output}
        yield from (name for inner in graph.node for name in reads(inner) if name not in own)
        yield from (value.name for value in graph.output if value.name not in own)


def renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """The node with other names for what it reads and gives."""
    copy = type(node)()
    copy.CopyFrom(node)
    _rename(copy, names)
    return copy


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for graph in subgraphs(node):
        rename(graph, names)


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give values of a graph other names, everywhere."""
    for node in graph.node:
        _rename(node, names)
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.name = names.get(value.name, value.name)


def named_as(graph: onnx.GraphProto, outside: Mapping[str, str]) -> None:
    """Give inputs and outputs their names; what has one of these inside gets another."""
    inner = {name for node in graph.node for name in node.output} | {value.name for value in graph.initializer}
    taken = {*outside.values(), *inner}
    moved = {}
    for name in inner - outside.keys() & {*outside.values()}:
        moved[name] = unused(f"{name}.inner", taken)
        taken.add(moved[name])
    rename(graph, {**outside, **moved})


def unused(name: str, taken: Collection[str]) -> str:
    """The name, or one like it that is not taken."""
    while name in taken:
        name += "_"
    return name
