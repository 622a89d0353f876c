"""The one executor: walks a graph, with time where there is time.

A value is a tensor ``(N, ...)`` if it is the same in every step, else ``Timed``: ``(T, N, ...)``, time
first. Because the graph has no cycles, running node after node over all steps of a block equals running
step after step; so what is linear sees time folded into its batch axis, and what depends on the constant
input alone is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from .graph import BATCH, DERIVED, FILL_OPS, Graph, Node, Ref, function, leaves, map_leaves
from .rules import LINEAR, RESHAPES, Role


@dataclass(frozen=True)
class Timed:
    """A value that varies in time, ``(T, N, ...)``."""

    values: Tensor


Value = Any
"""A tensor, a ``Timed``, a number from shapes, or a list of them (what ``split`` gives)."""


class Mode(Protocol):
    """What becomes of the nodes that are not applied step by step."""

    @property
    def steps(self) -> int:
        """Length of the time axis."""

    def spike(self, node: Node, x: Value) -> Value:
        """The output of a layer of neurons for its current."""

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        """The output of a maximum or an analog operation."""

    def decode(self, name: str, x: Value) -> Value:
        """The estimate of the ANN's value after each step."""


class Walk:
    """One batch's way through the graph.

    Args:
        graph: With roles set.
        weights: The graph's tensors, by name.
        inputs: One tensor ``(N, ...)`` per input of the graph.
    """

    def __init__(self, graph: Graph, weights: Mapping[str, Tensor], inputs: list[Tensor]) -> None:
        self.graph = graph
        self.device = inputs[0].device
        self.env: dict[str, Value] = {**weights, **dict(zip(graph.inputs, inputs, strict=True))}
        self._estimates: dict[str, Value] = {}

    def run(self, nodes: list[Node], mode: Mode, last_use: Mapping[str, list[str]] | None = None) -> None:
        """Evaluate the nodes in order; drop after each what ``last_use`` says nobody reads any more."""
        self._estimates.clear()
        for node in nodes:
            self.env[node.name] = self.evaluate(node, mode)
            for name in () if last_use is None else last_use.get(node.name, ()):
                self.env.pop(name, None)

    def outputs(self, mode: Mode) -> list[Any]:
        """The network's outputs after each step: decoded where they vary in time, ``(T, N, ...)``."""
        return [self._decoded(o, mode) if isinstance(o, Ref) else o for o in self.graph.outputs]

    def evaluate(self, node: Node, mode: Mode) -> Value:
        """The value of one node, whose arguments are there."""
        if node.role == Role.SHAPE:
            return self._shape_number(node)
        fetch = self._decoder(mode) if node.role == Role.HEAD else self._fetch
        args, kwargs = map_leaves(fetch, list(node.args)), map_leaves(fetch, node.kwargs)
        if "device" in kwargs:
            kwargs["device"] = self.device
        if node.role == Role.SPIKE:
            return mode.spike(node, args[0])
        fn = function(node.op)
        if node.role in (Role.MAX, Role.ANALOG):
            return mode.nonlinear(node, lambda *a, **k: self._apply(node, fn, list(a), k, mode), args, kwargs)
        if node.op in FILL_OPS and isinstance(args[0], Timed):
            args[0] = args[0].values[0]
        return self._apply(node, fn, args, kwargs, mode)

    def _fetch(self, arg: Any) -> Any:
        return self.env[arg.name] if isinstance(arg, Ref) else arg

    def _decoder(self, mode: Mode) -> Callable[[Any], Any]:
        return lambda arg: self._decoded(arg, mode) if isinstance(arg, Ref) else arg

    def _decoded(self, ref: Ref, mode: Mode) -> Value:
        node, value = self.graph.node(ref.name), self.env[ref.name]
        if node is None or node.role == Role.HEAD or not isinstance(value, Timed):
            return value
        if ref.name not in self._estimates:  # decoding sums up: once in each block, however many read it
            self._estimates[ref.name] = mode.decode(ref.name, value)
        return self._estimates[ref.name]

    def _shape_number(self, node: Node) -> Any:
        args = map_leaves(self._fetch, list(node.args))
        args = [a.values[0] if isinstance(a, Timed) else a for a in args]
        return function(node.op)(*args)

    def _apply(self, node: Node, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], mode: Mode) -> Value:
        """``fn`` at each step: once if nothing varies, folded into the batch if shapes allow, else in a loop."""
        if node.op == "operator.getitem":
            source, index = args
            if isinstance(source, Timed):  # the first result of an operation that gives several, already taken
                return source
            return source[index] if isinstance(source, (list, tuple)) else source
        steps = next((len(a.values) for a in leaves((args, kwargs)) if isinstance(a, Timed)), None)
        if steps is None:
            return fn(*args, **kwargs)
        given = zip(leaves((node.args, node.kwargs)), leaves((args, kwargs)), strict=True)
        together = all(_is_batched(self.graph, a) for a, value in given if isinstance(value, Timed))
        if together and foldable(node, self.graph):
            return self._folded(node, fn, args, kwargs, steps)

        def at(t: int) -> Callable[[Any], Any]:
            return lambda a: a.values[t] if isinstance(a, Timed) else a

        results = [fn(*map_leaves(at(t), args), **map_leaves(at(t), kwargs)) for t in range(steps)]
        if isinstance(results[0], (list, tuple)):
            return [Timed(torch.stack(parts)) for parts in zip(*results, strict=True)]
        return Timed(torch.stack(results))

    def _folded(self, node: Node, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], steps: int) -> Value:
        batched = iter(
            [_is_batched(self.graph, a) if isinstance(a, Ref) else False for a in leaves((node.args, node.kwargs))]
        )

        def fold(a: Any) -> Any:
            has_batch = next(batched)
            if isinstance(a, Timed):
                return a.values.flatten(0, 1)
            if has_batch and isinstance(a, Tensor):
                return a.expand(steps, *a.shape).flatten(0, 1)
            return a

        if node.op in RESHAPES:
            assert node.shape is not None
            args = [args[0], [-1, *node.shape[1:]]]
            x = args[0].values
            return Timed(fn(x.flatten(0, 1), [x.shape[0] * x.shape[1], *node.shape[1:]]).unflatten(0, (steps, -1)))
        result = fn(*map_leaves(fold, args), **map_leaves(fold, kwargs))
        if isinstance(result, (list, tuple)):
            return [Timed(r.unflatten(0, (steps, -1))) for r in result]
        return Timed(result.unflatten(0, (steps, -1)))


def _is_batched(graph: Graph, ref: Ref) -> bool:
    shape = graph.shape(ref.name)
    return shape is not None and len(shape) > 0 and shape[0] is BATCH


def foldable(node: Node, graph: Graph) -> bool:
    """Whether time may be folded into the batch axis: the batch comes first, and only there, in all tensors."""
    rule = LINEAR.get(node.op)
    maximum = node.role == Role.MAX
    if not (maximum or (rule is not None and rule.fold)):
        return False
    # An operation that gives several tensors has no shape of its own: those that pick one have theirs.
    results = [node] if node.shape is not None else graph.users.get(node.name, [])
    if any(not n.shape or n.shape[0] is not BATCH for n in results):
        return False
    shapes = [n.shape for n in results if n.shape is not None]
    for name in node.refs:
        shape = graph.shape(name)
        if shape is None:
            source = graph.node(name)
            if source is not None and source.is_shape and node.op not in RESHAPES:
                return False
            continue
        shapes.append(shape)
    varying = [s for s in shapes if BATCH in s or DERIVED in s]
    return bool(varying) and all(s[0] is BATCH and BATCH not in s[1:] and DERIVED not in s for s in varying)
