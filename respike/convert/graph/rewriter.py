"""A graph made from another one, node by node: what a pass works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from .graph import Graph
from .node import Node, Ref, map_leaves


def rewrite(graph: Graph, step: Callable[[Node, Rewriter], Any]) -> Graph:
    """A new graph in which each node is what ``step(node, rewriter)`` returns in its place."""
    return Rewriter(graph).run(step)


class Rewriter:
    """Builds a graph from another one, node by node; what a pass works with."""

    def __init__(self, graph: Graph) -> None:
        self.old = graph
        self.tensors = dict(graph.tensors)
        self.nodes: list[Node] = []
        self._index: dict[str, int] = {}
        self._names = {*graph.inputs, *graph.tensors, *(n.name for n in graph.nodes)}

    def run(self, step: Callable[[Node, Rewriter], Any]) -> Graph:
        renamed: dict[str, Any] = {}

        def resolve(arg: Any) -> Any:
            return renamed.get(arg.name, arg) if isinstance(arg, Ref) else arg

        for node in self.old.nodes:
            node = replace(node, args=map_leaves(resolve, node.args), kwargs=map_leaves(resolve, node.kwargs))
            renamed[node.name] = step(node, self)
        outputs = [resolve(o) for o in self.old.outputs]
        return replace(self.old, tensors=self.tensors, nodes=self.nodes, outputs=outputs)

    def keep(self, node: Node) -> Ref:
        """The node as it is."""
        self._index[node.name] = len(self.nodes)
        self.nodes.append(node)
        return Ref(node.name)

    def find(self, arg: Any) -> Node | None:
        """The node, already rewritten, that an argument refers to; None for inputs, weights and numbers."""
        index = self._index.get(arg.name) if isinstance(arg, Ref) else None
        return None if index is None else self.nodes[index]

    def swap(self, node: Node) -> Ref:
        """Put the node in the place of the earlier one of the same name."""
        self.nodes[self._index[node.name]] = node
        return Ref(node.name)

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of a value that is there already; that of a number, say a batch size, is ``()``."""
        node = self.find(Ref(name))
        if node is not None and node.is_shape:
            return ()
        shape = node.shape if node is not None else self.old.inputs.get(name)
        return tuple(self.tensors[name].shape) if shape is None else shape

    def add(self, like: Node, op: str, *args: Any, shape: Any = ..., name: str = "", **kwargs: Any) -> Ref:
        """A new node in the place of ``like``, whose path, kind and (unless given) shape it takes."""
        name = name or self.fresh(f"{like.name}_{op.split('.')[1]}")
        self._names.add(name)
        shape = like.shape if shape is ... else shape
        return self.keep(Node(name, op, args, kwargs, like.path, like.kind, shape, like.role))

    def tensor(self, hint: str, value: Tensor) -> Ref:
        """A new constant."""
        name = self.fresh(hint)
        self._names.add(name)
        self.tensors[name] = value
        return Ref(name)

    def fresh(self, hint: str) -> str:
        name, n = hint, 1
        while name in self._names:
            n += 1
            name = f"{hint}_{n}"
        return name
