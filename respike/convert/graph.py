"""The one intermediate form: a list of named operations on named values, in order of execution.

Values are referred to by name (``Ref``). An operation is named, not held: ``"aten.conv2d.default"`` is
PyTorch's operator of that name, ``"respike.relu"`` the activation that becomes a spiking neuron. All
arguments are ``Ref``s and plain scalars, strings, dtypes and lists, so a graph can be written as text.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .rules import Role

BATCH: Final = None
"""The batch axis in a node's ``shape``."""
DERIVED: Final = -1
"""An axis in a node's ``shape`` whose length depends on the batch size."""

RELU: Final = "respike.relu"
"""ReLU(x), or min(ReLU(x), cap) with the keyword ``cap``, maybe in steps: what becomes a spiking neuron."""

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
    """

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    kind: str = ""
    shape: tuple[int | None, ...] | None = None
    role: str = ""

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


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        inputs: Names of the tensors given to the network, in order, with their shapes.
        tensors: Weights and constants by name.
        nodes: Operations in order of execution.
        outputs: A ``Ref`` or a plain constant for each leaf of the output.
        leaves: A ``Ref`` to an input, or the constant traced, for each leaf of the arguments.
        integers: The types of the inputs that hold whole numbers or truth values, by name.
        in_spec: Tree of the positional and keyword arguments that ``leaves`` are the leaves of.
        out_spec: Tree that the outputs are the leaves of.
    """

    inputs: dict[str, tuple[int | None, ...]]
    tensors: dict[str, Tensor]
    nodes: list[Node]
    outputs: list[Any]
    leaves: list[Any]
    integers: Mapping[str, torch.dtype]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {n.name: n for n in self.nodes}

    def node(self, name: str) -> Node | None:
        """The node of that name; None for inputs and weights."""
        return self._by_name.get(name)

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Shape of any value."""
        if name in self.inputs:
            return self.inputs[name]
        if name in self.tensors:
            return tuple(self.tensors[name].shape)
        return self._by_name[name].shape

    @cached_property
    def found(self) -> dict[str, Any]:
        """What others have found out of the graph, so that they need not do so again."""
        return {}

    @cached_property
    def timed(self) -> frozenset[str]:
        """Names of the values that vary in time: those of spiking nodes, and what is computed from them.

        All others are *static*, the same in every step: no neuron is before them, or they read shapes alone.
        Requires: roles.
        """
        found: set[str] = set()
        for node in self.nodes:
            read = not node.is_shape and node.op not in FILL_OPS and not found.isdisjoint(node.refs)
            if read or node.role == Role.SPIKE:
                found.add(node.name)
        return frozenset(found)

    def flatten(self, args: tuple[Any, ...]) -> list[Tensor]:
        """The input tensors among the arguments, in order; dicts by key.

        Raises:
            ValueError: another structure, shape or constant than what was traced.
        """
        try:
            given = self.in_spec.flatten_up_to((args, {}))
        except ValueError as error:
            takes = f"the network takes {self.arity} input{'s' * (self.arity > 1)} ({', '.join(self.inputs)})"
            other = f", structured as when traced: {error}" if len(args) == self.arity else f"; got {len(args)}"
            raise ValueError(takes + other) from error
        found = []
        for value, leaf in zip(given, self.leaves, strict=True):
            if not isinstance(leaf, Ref):
                if isinstance(value, Tensor) or value != leaf:
                    raise ValueError(f"the network was traced with the constant {leaf!r} and got {value!r}")
            elif not isinstance(value, Tensor):
                raise ValueError(f"input {leaf.name!r} must be a tensor, got {type(value).__name__}")
            else:
                _check_shape(leaf.name, self.inputs[leaf.name], value)
                whole = leaf.name in self.integers and not value.is_floating_point()
                found.append(value if whole else value.float())
        return found

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Whether these are arguments of the structure that was traced, with an array wherever there is an input."""
        try:
            given = self.in_spec.flatten_up_to((args, {}))
        except ValueError:
            return False
        pairs = zip(given, self.leaves, strict=True)
        return all(isinstance(value, (Tensor, np.ndarray)) == isinstance(leaf, Ref) for value, leaf in pairs)

    def arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same arguments with tensors of the types in which the network takes them.

        Raises:
            ValueError: as ``flatten``.
        """
        tensors = iter(self.flatten(args))
        leaves = [next(tensors) if isinstance(leaf, Ref) else leaf for leaf in self.leaves]
        found: tuple[Any, ...] = pytree.tree_unflatten(leaves, self.in_spec)[0]
        return found

    @cached_property
    def users(self) -> dict[str, list[Node]]:
        """For each value the nodes that read it."""
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.refs):
                users.setdefault(name, []).append(node)
        return users

    def signals(self) -> set[str]:
        """Names of the values that depend on an input."""
        found = set(self.inputs)
        for node in self.nodes:
            if not node.is_shape and node.op not in FILL_OPS and not found.isdisjoint(node.refs):
                found.add(node.name)
        return found

    def to(self, device: torch.device) -> Graph:
        """The graph with its tensors there."""
        return replace(self, tensors={name: tensor.to(device) for name, tensor in self.tensors.items()})

    @property
    def arity(self) -> int:
        """How many positional arguments the network takes."""
        return len(self.in_spec.unflatten([None] * self.in_spec.num_leaves)[0])

    def output_names(self) -> list[str]:
        return [o.name for o in self.outputs if isinstance(o, Ref)]

    def rewrite(self, step: Callable[[Node, Rewriter], Any]) -> Graph:
        """A new graph in which each node is what ``step(node, rewriter)`` returns in its place."""
        return Rewriter(self).run(step)


def _check_shape(name: str, shape: tuple[int | None, ...], value: Tensor) -> None:
    if value.dim() != len(shape) or any(n is not BATCH and n != m for n, m in zip(shape, value.shape, strict=True)):
        text = ", ".join("N" if n is BATCH else str(n) for n in shape)
        raise ValueError(f"input {name!r} must have shape ({text}), got {tuple(value.shape)}")


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


def leaves(tree: Any) -> Iterator[Any]:
    """All leaves of nested lists, tuples and dicts."""
    if isinstance(tree, (list, tuple)):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, dict):
        yield from leaves(list(tree.values()))
    else:
        yield tree


def map_leaves(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The same tree with ``fn`` applied to each leaf."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_leaves(fn, item) for item in tree)
    if isinstance(tree, dict):
        return {key: map_leaves(fn, item) for key, item in tree.items()}
    return fn(tree)


def relu(
    x: Tensor,
    cap: float | None = None,
    levels: int | None = None,
    step: float | None = None,
    shift: float = 0.5,
) -> Tensor:
    """What the operation ``RELU`` computes in the ANN.

    Args:
        x: The current.
        cap: Upper bound.
        levels: Steps between 0 and ``cap``, of an activation that was quantised in training.
        step: Size of a step, if there is no bound.
        shift: Share of a step that is added before rounding down.
    """
    if levels is not None and cap is not None:  # in the order of ``equations.iaf_count``, to the last bit
        return torch.floor((x * levels + cap * shift) / cap).clamp(min=0, max=levels) * cap / levels
    if step is not None:
        return torch.floor((x + step * shift) / step).clamp(min=0) * step
    return torch.clamp(x, min=0, max=cap)


@cache
def function(op: str) -> Callable[..., Any]:
    """The function that an operation's name stands for: ``operator.*``, or one of PyTorch, mostly ``aten.*``."""
    if op == RELU:
        return relu
    space, name = op.split(".", 1)
    if space == "operator":
        found: Callable[..., Any] = getattr(operator, name)
        return found
    packet, overload = name.split(".")
    found = getattr(getattr(getattr(torch.ops, space), packet), overload)
    return _of_contiguous(found) if packet.startswith("max_pool3d") else found


def _of_contiguous(operation: Any) -> Callable[..., Any]:
    """An operation that PyTorch refuses for ``(C, D, H, W)`` laid out as images ``(N, C, H, W)`` are."""

    def applied(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return operation(x.contiguous() if x.dim() == 4 else x, *args, **kwargs)

    applied._schema = operation._schema  # type: ignore[attr-defined]
    return applied
