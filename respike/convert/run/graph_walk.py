"""The one executor: walks a graph, with time where there is time.

A value is a tensor ``(N, ...)`` if it is static, the same in every step, else ``Timed``: ``(T, N, ...)``, time first,
in the form in which neurons or synapses gave it; what needs the numbers themselves asks for them. Because the graph
has no cycles, running node after node over all steps of a block equals running step after step; so what is linear sees
time folded into its batch axis, and what is static is computed once, with the true operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any, Protocol

import torch
from torch import Tensor

from ..graph import BATCH, FILL_OPS, Graph, Node, Ref, function, leaves, map_leaves
from ..graph.rules import LINEAR, MOVES, REMEMBERS, RESHAPES, Role
from ..sample_axis import Along, begins, places
from .arithmetic import Arithmetic
from .time_varying import DeferredCurrent, DeferredFiring, DeferredSum, Timed, now, real

Value = Any
"""A tensor, a ``Timed``, a number from shapes, or a list of them (what ``split`` gives)."""


class Mode(Protocol):
    """What becomes of the nodes that are not applied step by step."""

    @property
    def steps(self) -> int:
        """Length of the time axis."""

    def arriving(self, node: Node, name: str, x: Value) -> Value:
        """What a node gets of a value that it reads."""

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
        late: Names of nodes that are applied to what their arguments decode to, as the head is.
        paired: Names of sums that are left to the neurons that read them.
        pooled: Names of neurons that are left to the max-pool that reads them.
        driving: Names of synapses that are left to the neurons that read them, or a sum that is.
        arithmetic: In what spikes are sent and synapses compute; None: float32.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Mapping[str, Tensor],
        inputs: list[Tensor],
        late: Set[str] = frozenset(),
        paired: Set[str] = frozenset(),
        pooled: Set[str] = frozenset(),
        driving: Set[str] = frozenset(),
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.graph, self.late, self.paired, self.pooled, self.arithmetic = graph, late, paired, pooled, arithmetic
        self.driving = driving
        self.device = inputs[0].device
        self.kind = next((t.dtype for t in (*weights.values(), *inputs) if t.is_floating_point()), torch.float32)
        self.env: dict[str, Value] = {**weights, **dict(zip(graph.inputs, inputs, strict=True))}
        self._estimates: dict[str, Value] = {}

    def run(self, nodes: list[Node], mode: Mode, last_use: Mapping[str, list[str]] | None = None) -> None:
        """Evaluate the nodes in order; drop after each what ``last_use`` says nobody reads any more."""
        self._estimates.clear()
        for node in nodes:
            self.env[node.name] = self.evaluate(node, mode)
            for name in () if last_use is None else last_use.get(node.name, ()):
                self.env.pop(name, None)

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the samples, in a graph in which samples never meet.

        Args:
            rows: Which, a mask ``(N,)``.
        """
        where = places(self.graph)

        def kept(place: Along) -> Callable[[Any], Any]:
            index = place.entries(rows)
            return lambda x: x.index_select(place.axis, index) if isinstance(x, Tensor) else x

        for name, value in self.env.items():
            place = where[name]
            if isinstance(place, Along) and not isinstance(value, Timed):
                self.env[name] = map_leaves(kept(place), value)

    def outputs(self, mode: Mode) -> list[Any]:
        """The network's outputs after each step: decoded where they vary in time, ``(T, N, ...)``."""
        return [self._decoded(o, mode) if isinstance(o, Ref) else o for o in self.graph.outputs]

    def evaluate(self, node: Node, mode: Mode) -> Value:
        """The value of one node, whose arguments are there."""
        if node.role == Role.SHAPE:
            return self._shape_number(node)
        fetch = self._decoder(mode) if self._is_late(node) else self._fetcher(node, mode)
        args, kwargs = map_leaves(fetch, list(node.args)), map_leaves(fetch, node.kwargs)
        if "device" in kwargs:
            kwargs["device"] = self.device
        if node.role == Role.SPIKE:
            return DeferredFiring(node, args[0]) if node.name in self.pooled else mode.spike(node, args[0])
        if node.name in self.paired and all(isinstance(a, (Timed, DeferredCurrent)) for a in args):
            first, second = args if isinstance(args[0], DeferredCurrent) else reversed(args)  # which may be deferred
            return DeferredSum(first, now(second))
        args, fn = [now(a) for a in args], function(node.op)
        if node.role in REMEMBERS and node.name in self.graph.timed:
            return mode.nonlinear(node, lambda *a, **k: self._apply(node, fn, list(a), k), args, kwargs)
        if node.op in FILL_OPS and isinstance(args[0], Timed):
            args[0] = args[0].real[0]
        return self._apply(node, fn, args, kwargs)

    def _is_late(self, node: Node) -> bool:
        return node.role == Role.HEAD or node.name in self.late

    def _fetcher(self, node: Node, mode: Mode) -> Callable[[Any], Any]:
        return lambda arg: mode.arriving(node, arg.name, self.env[arg.name]) if isinstance(arg, Ref) else arg

    def _fetch(self, arg: Any) -> Any:
        return self.env[arg.name] if isinstance(arg, Ref) else arg

    def _decoder(self, mode: Mode) -> Callable[[Any], Any]:
        return lambda arg: self._decoded(arg, mode) if isinstance(arg, Ref) else arg

    def _decoded(self, ref: Ref, mode: Mode) -> Value:
        node, value = self.graph.node(ref.name), self.env[ref.name]
        if not isinstance(value, Timed) or (node is not None and self._is_late(node)):
            return value
        if ref.name not in self._estimates:  # decoding sums up: once in each block, however many read it
            self._estimates[ref.name] = mode.decode(ref.name, value)
        return self._estimates[ref.name]

    def _shape_number(self, node: Node) -> Any:
        args = map_leaves(self._fetch, list(node.args))
        args = [a.values[0] if isinstance(a, Timed) else a for a in args]
        return function(node.op)(*args)

    def _apply(self, node: Node, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Value:
        """``fn`` at each step: once if nothing varies, folded into the batch if shapes allow, else in a loop."""
        if node.op == "operator.getitem":
            source, index = args
            if isinstance(source, Timed):  # the first result of an operation that gives several, already taken
                return source
            return source[index] if isinstance(source, (list, tuple)) else source
        values = list(leaves((args, kwargs)))
        steps = next((len(a.values) for a in values if isinstance(a, Timed)), None)
        if steps is None:
            return map_leaves(self._typed, fn(*args, **kwargs))
        fold, batched = _folding(node, self.graph)
        together = fold and all(first for first, a in zip(batched, values, strict=True) if isinstance(a, Timed))
        if together and self.arithmetic is not None and isinstance(args[0], Timed):
            found = self._in_units(node, fn, args, kwargs)
            if found is not None:
                return found if node.name in self.driving else now(found)
        args, kwargs = map_leaves(_real, args), map_leaves(_real, kwargs)
        if together:
            return self._folded(node, fn, args, kwargs, steps)

        def at(t: int) -> Callable[[Any], Any]:
            return lambda a: a.values[t] if isinstance(a, Timed) else a

        results = [fn(*map_leaves(at(t), args), **map_leaves(at(t), kwargs)) for t in range(steps)]
        if isinstance(results[0], (list, tuple)):
            return [Timed(torch.stack(parts)) for parts in zip(*results, strict=True)]
        return Timed(torch.stack(results))

    def _typed(self, value: Any) -> Any:
        """Real numbers that an operation makes of whole ones, in the network's type."""
        real = isinstance(value, Tensor) and value.is_floating_point() and value.dtype != self.kind
        return value.to(self.kind) if real else value

    def _in_units(
        self, node: Node, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Timed | DeferredCurrent | None:
        """The value from spikes in whole numbers, if the operation can do with them: as synapses, or moved."""
        arithmetic, x = self.arithmetic, args[0]
        assert arithmetic is not None
        found = arithmetic.synapses(node, x)
        if found is not None or node.op not in MOVES or x.scale is None or x.offset is not None:
            return found
        first = [shape[0] for name in (node.args[0].name, node.name) if (shape := self.graph.shape(name))]
        if first != [BATCH, BATCH]:  # several entries of a sample, that may carry different things
            return None

        def moved(values: Tensor) -> Tensor:
            rest = [[-1, *(node.shape or ())[1:]]] if node.op in RESHAPES else args[1:]
            result: Tensor = fn(values, *rest, **kwargs)
            return result

        scale = arithmetic.moved(node, x.scale, lambda scale: moved(scale.expand(x.values.shape[1:])[:1])[0])
        return Timed(moved(x.values.flatten(0, 1)).unflatten(0, x.values.shape[:2]), scale)

    def _folded(self, node: Node, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], steps: int) -> Value:
        batched = iter(_folding(node, self.graph)[1])

        def fold(a: Any) -> Any:
            has_batch = next(batched)
            if isinstance(a, Timed):
                return a.values.flatten(0, 1)
            if has_batch and isinstance(a, Tensor):
                return a.expand(steps, *a.shape).flatten(0, 1)
            return a

        if node.op in RESHAPES:
            assert node.shape is not None
            return Timed(fn(args[0].values.flatten(0, 1), [-1, *node.shape[1:]]).unflatten(0, (steps, -1)))
        result = fn(*map_leaves(fold, args), **map_leaves(fold, kwargs))
        if isinstance(result, (list, tuple)):
            return [Timed(r.unflatten(0, (steps, -1))) for r in result]
        return Timed(result.unflatten(0, (steps, -1)))


def _real(value: Any) -> Any:
    return real(value) if isinstance(value, (Timed, DeferredSum)) else value


def _folding(node: Node, graph: Graph) -> tuple[bool, list[bool]]:
    """Whether time may be folded into the batch axis, and which leaves of the arguments begin with the batch."""
    key = f"folding of {node.name}"
    if key not in graph.found:
        listed = node.role in REMEMBERS or node.op in LINEAR
        read = begins(node, graph, places(graph)) if listed else None
        values = leaves((node.args, node.kwargs))
        batched = [isinstance(a, Ref) and isinstance((read or {}).get(a.name), Along) for a in values]
        graph.found[key] = read is not None, batched
    found: tuple[bool, list[bool]] = graph.found[key]
    return found
