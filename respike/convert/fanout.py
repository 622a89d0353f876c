"""How many synapses an event reaches: exact, at borders, with stride, groups, concatenation and residuals.

The network between its spiking layers is linear, so the number of synapses behind each neuron is the
gradient of "every synapse has weight 1, every way without synapses passes on what it gets" with respect
to the neuron's output. That gradient is computed by running the graph once in that form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .execute import Walk
from .graph import BATCH, Graph, Node, function, leaves, map_leaves
from .modes import Analog
from .plan import Plan
from .rules import LINEAR, Role


@dataclass
class FanOut:
    """Operations of one sample.

    Attributes:
        events: For each spiking layer and each maximum, the synaptic operations that one event of each
            of its outputs causes, ``(1, ...)``.
        once: Multiply-accumulates on the constant input, needed once.
        every_step: Multiply-accumulates on analog values that vary in time, needed in every step.
        ann: Multiply-accumulates of the ANN.
    """

    events: dict[str, Tensor] = field(default_factory=dict)
    once: int = 0
    every_step: int = 0
    ann: int = 0


def fan_out(graph: Graph, weights: Mapping[str, Tensor]) -> FanOut:
    """Count the synapses behind every event of a graph with roles; weights of value 0 count too."""
    shapes = {name: [1 if n is BATCH else n for n in shape] for name, shape in graph.inputs.items()}
    inputs = [torch.zeros(shape, dtype=torch.float64) for shape in shapes.values()]
    # Whole numbers are indices, not weights.
    ones = {
        name: torch.ones(t.shape, dtype=torch.float64) if t.is_floating_point() else t.cpu()
        for name, t in weights.items()
    }
    walk = _Count(graph, ones, inputs)
    with torch.enable_grad():
        walk.run(graph.nodes, Analog())
    result = walk.result
    sources = list(walk.sources.values())
    gradients: Sequence[Tensor | None] = [None] * len(sources)
    if walk.total.requires_grad:
        gradients = torch.autograd.grad(walk.total, sources, allow_unused=True)
    for (name, source), gradient in zip(walk.sources.items(), gradients, strict=True):
        result.events[name] = torch.zeros_like(source.detach()) if gradient is None else gradient.round()
    return result


class _Count(Walk):
    """The graph with unit weights; what carries no event is a constant without gradient."""

    def __init__(self, graph: Graph, weights: dict[str, Tensor], inputs: list[Tensor]) -> None:
        super().__init__(graph, weights, inputs)
        self.result = FanOut()
        self.total = torch.zeros((), dtype=torch.float64)
        self.sources: dict[str, Tensor] = {}
        self.timed = {n.name for n in Plan(graph).timed}

    def evaluate(self, node: Node, mode: Any) -> Any:
        if node.role == Role.HEAD or (node.role == Role.CONSTANT and node.shape is None):
            return None
        if node.role == Role.SHAPE:
            return self._shape_number(node)
        args, kwargs = map_leaves(self._fetch, list(node.args)), map_leaves(self._fetch, node.kwargs)
        if node.role in (Role.SPIKE, Role.MAX, Role.ANALOG):
            return self._source(node, args, kwargs)
        if node.role == Role.LINEAR and LINEAR[node.op].weighted:
            return self._synapses(node, args, kwargs)
        return _route(node, args, kwargs)

    def _source(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
        """A fresh event at every output of a node that holds time; where nothing varies, a constant."""
        shaped = args[0] if node.role == Role.SPIKE else function(node.op)(*args, **kwargs)
        shaped = shaped[0] if isinstance(shaped, (list, tuple)) else shaped
        events = torch.ones(shaped.shape, dtype=torch.float64)
        if node.role == Role.ANALOG or node.name not in self.timed:
            return events
        self.sources[node.name] = events.requires_grad_()
        return events

    def _synapses(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
        """Every synapse passes 1 for each event; what arrives is a current, no event."""
        name = node.op.split(".")[1]
        if name in ("linear", "convolution") or name.startswith("conv"):
            args = [args[0], args[1], None, *args[3:]]
        elif name in ("addmm", "baddbmm"):
            args[0] = torch.zeros((), dtype=torch.float64)
        fn = function(node.op)
        dense = map_leaves(_unit, args)
        work = int(fn(*dense, **kwargs).sum())
        self.result.ann += work
        if any(isinstance(a, Tensor) and a.requires_grad for a in leaves(args)):
            out: Tensor = fn(*args, **kwargs)
            self.total = self.total + out.sum()
            return torch.ones_like(out.detach())
        if node.name in self.timed:
            self.result.every_step += work
        else:
            self.result.once += work
        return torch.ones_like(fn(*dense, **kwargs))


def _unit(value: Any) -> Any:
    return torch.ones_like(value, requires_grad=False) if isinstance(value, Tensor) and value.dim() else value


def _route(node: Node, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The node as a way without synapses: an event at its input is one at every output it touches."""
    name = node.op.split(".")[1]
    if node.op == "operator.getitem":
        return args[0][args[1]] if isinstance(args[0], (list, tuple)) else args[0]
    fn = function(node.op)
    if name in ("mul", "div", "add", "sub", "rsub", "neg"):
        carried = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
        result = sum(carried[1:], carried[0]) if carried else args[0] if isinstance(args[0], Tensor) else args[1]
        shape = [1 if n is BATCH else n for n in node.shape or ()]
        return result.expand(shape) if isinstance(result, Tensor) else result
    x = args[0]
    if name == "copy":  # has no derivative
        return args[1].expand(x.shape)
    if name == "mean":
        return torch.ops.aten.sum.dim_IntList(x, *args[1:3]) if len(args) > 1 else x.sum()
    if name.startswith(("avg_pool", "adaptive_avg_pool", "upsample_")) and "nearest" not in name:
        return _separable(x, int(name.rstrip("d")[-1]), fn, args, kwargs)
    return fn(*args, **kwargs)


def _separable(x: Tensor, rank: int, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
    """An average or interpolation over the last axes with all its nonzero weights set to 1, axis by axis."""
    sizes, first = x.shape[-rank:], x.dim() - rank
    for axis, size in enumerate(sizes):
        probe = torch.zeros(size, 1, *sizes, dtype=torch.float64)
        index = [slice(None)] * len(sizes)
        for i in range(size):
            index[axis] = slice(i, i + 1)
            probe[i, 0][tuple(index)] = 1
        reached = fn(probe, *args[1:], **kwargs)[:, 0] != 0
        other = tuple(a + 1 for a in range(len(sizes)) if a != axis)
        matrix = (reached.any(dim=other) if other else reached).double()  # (size in, size out)
        x = torch.movedim(torch.movedim(x, first + axis, -1) @ matrix, -1, first + axis)
    return x
