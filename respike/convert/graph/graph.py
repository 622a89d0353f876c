"""The one intermediate form: a list of named operations on named values, in order of execution.

Values are referred to by name (``Ref``). An operation is named, not held: ``"aten.conv2d.default"`` is
PyTorch's operator of that name, ``"respike.relu"`` the activation that becomes a spiking neuron. All
arguments are ``Ref``s and plain scalars, strings, dtypes and lists, so a graph can be written as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...errors import InputError
from ..options import Encoding
from .node import BATCH, FILL_OPS, Node, Ref
from .population import Population
from .rules import Role


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
        moving: Names of the inputs that differ in every step: they are given as ``(N, T, ...)``, all others hold
            still. Shapes here are those of one step.
        encodings: By name, those that become events first, whether they move or hold still.
        populations: Smooth functions that are sums of ReLUs here, by the name of the node that was the function.
    """

    inputs: dict[str, tuple[int | None, ...]]
    tensors: dict[str, Tensor]
    nodes: list[Node]
    outputs: list[Any]
    leaves: list[Any]
    integers: Mapping[str, torch.dtype]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec
    moving: frozenset[str] = frozenset()
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    populations: Mapping[str, Population] = field(default_factory=dict)

    @property
    def varying(self) -> frozenset[str]:
        """Names of the inputs that the network sees change from step to step."""
        return self.moving.union(self.encodings)

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
        """Names of the values that vary in time: those of spiking nodes, inputs that move, what is computed from them.

        All others are *static*, the same in every step: no neuron is before them, or they read shapes alone.
        Requires: roles.
        """
        found = set(self.varying)
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
            noun = "input" if self.arity == len(self.inputs) else "argument"
            takes = f"the network takes {self.arity} {noun}{'s' * (self.arity > 1)} ({', '.join(self.inputs)})"
            other = f", structured as when traced: {error}" if len(args) == self.arity else f"; got {len(args)}"
            raise InputError(takes + other) from error
        found = []
        for value, leaf in zip(given, self.leaves, strict=True):
            if not isinstance(leaf, Ref):
                if isinstance(value, Tensor) or value != leaf:
                    raise InputError(f"the network was traced with the constant {leaf!r} and got {value!r}")
            elif not isinstance(value, Tensor):
                raise InputError(f"input {leaf.name!r} must be a tensor, got {type(value).__name__}")
            elif value.is_complex():
                raise InputError(f"input {leaf.name!r} holds complex numbers; networks take real ones, such as x.abs()")
            else:
                _check_shape(leaf.name, self.inputs[leaf.name], value, leaf.name in self.moving)
                whole = leaf.name in self.integers and not value.is_floating_point()
                found.append(value if whole else value.float())
        return found

    def names_of(self, marks: tuple[Any, ...]) -> list[str]:
        """Names of the inputs at the places of the arguments that are marked."""
        given = self.in_spec.flatten_up_to((marks, {}))
        return [leaf.name for leaf, marked in zip(self.leaves, given, strict=True) if isinstance(leaf, Ref) and marked]

    def first_frames(self, inputs: list[Tensor], steps: int) -> list[Tensor]:
        """So many frames of each input that moves, and the others as they are.

        Raises:
            ValueError: one has fewer.
        """
        for name, x in zip(self.inputs, inputs, strict=True):
            if name in self.moving and x.shape[1] < steps:
                count = x.shape[1]
                raise InputError(
                    f"input {name!r} has {count} frame{'s' * (count != 1)}, too few for {steps} timesteps; give one "
                    f"frame for each timestep, or timesteps={count}"
                )
        named = zip(self.inputs, inputs, strict=True)
        return [x[:, :steps] if name in self.moving else x for name, x in named]

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Whether these are arguments of the structure that was traced, with an array wherever there is an input."""
        try:
            given = self.in_spec.flatten_up_to((args, {}))
        except ValueError:
            return False
        pairs = zip(given, self.leaves, strict=True)
        return all(isinstance(value, (Tensor, np.ndarray)) == isinstance(leaf, Ref) for value, leaf in pairs)

    def unflatten(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The positional arguments that ``flatten`` takes apart into these tensors."""
        tensors = iter(inputs)
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

    @property
    def weight_bytes(self) -> int:
        """What the weights and constants take in memory."""
        return sum(tensor.numel() * tensor.itemsize for tensor in self.tensors.values())

    def to(self, device: torch.device) -> Graph:
        """The graph with its tensors there."""
        return replace(self, tensors={name: tensor.to(device) for name, tensor in self.tensors.items()})

    @property
    def arity(self) -> int:
        """How many positional arguments the network takes."""
        return len(self.in_spec.unflatten([None] * self.in_spec.num_leaves)[0])

    def output_names(self) -> list[str]:
        return [o.name for o in self.outputs if isinstance(o, Ref)]


def _check_shape(name: str, shape: tuple[int | None, ...], value: Tensor, moves: bool) -> None:
    given = (*value.shape[:1], *value.shape[2:]) if moves else tuple(value.shape)
    fits = len(given) == len(shape) and all(n is BATCH or n == m for n, m in zip(shape, given, strict=True))
    if not fits or value.dim() != len(shape) + moves:
        text = ["N" if n is BATCH else str(n) for n in shape]
        text[1:1] = ["T"] if moves else []
        raise InputError(f"input {name!r} must have shape ({', '.join(text)}), got {tuple(value.shape)}")
