"""How many synapses an event reaches: exact, at borders, with stride, groups, concatenation and residuals.

The network between its spiking layers and what remembers sums is linear (for products of signals see ``products``). So
the number of synapses behind each neuron is the gradient of "every synapse has weight 1, every way without synapses
passes on what it gets" with respect to the neuron's output. That gradient is computed by running the graph once in that
form.

What a spike is multiplied by is a weight, whether the network holds it or computes it from the input, as an adjacency
matrix or a mask: a synapse of weight 0 is one as well. So the number of synapses does not depend on the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..graph import Graph, Node, Ref, function, leaves, map_leaves
from ..graph.rules import LINEAR, OF_MEANS, Role, Signals
from ..run.analog import Analog
from ..run.graph_walk import Walk
from .arithmetic_work import Work
from .path_counts import SUMS, applied, compared, first_of, kept_analog, path_counts, short, spread
from .products import product_counts, product_work
from .signal_counts import Counts, all_ones, constant_counts, one_like, part_of, picked, unit_weight


@dataclass
class FanOut:
    """Operations of one sample.

    Attributes:
        events: For each input that is events, each spiking layer and each maximum, the synaptic operations that one
            event of each of its outputs causes, ``(1, ...)``.
        direct: Likewise the additions and comparisons without a synapse: where an event is added to a membrane, a
            current or a readout as it is; and in a maximum one addition to a sum and one comparison for each window.
        inputs: For each node with synapses on the constant input: the name of what it reads, and the
            multiply-accumulates that each value of that takes part in, ``(1, ...)``.
        once: Work on the constant input, needed once, and on what the network gives, when it is read.
        every_step: Work on analog values that vary in time, needed in every step.
        ann: Work of the ANN.
    """

    events: dict[str, Tensor] = field(default_factory=dict)
    direct: dict[str, Tensor] = field(default_factory=dict)
    inputs: dict[str, tuple[str, Tensor]] = field(default_factory=dict)
    once: Work = field(default_factory=Work)
    every_step: Work = field(default_factory=Work)
    ann: Work = field(default_factory=Work)


def fan_out(graph: Graph, weights: Mapping[str, Tensor]) -> FanOut:
    """Count the synapses behind every event of a graph with roles; weights of value 0 count too.

    Raises:
        RuntimeError: in a process forked from one that has taken gradients: PyTorch takes none there.
    """
    try:
        return _counted(graph, weights)
    except RuntimeError as error:
        if "fork-based" not in str(error):
            raise
        raise RuntimeError(
            "synapses are counted with PyTorch's gradients, which cannot be taken in a process forked from one that "
            "has taken some; start the process with multiprocessing.get_context('spawn')"
        ) from error


def _counted(graph: Graph, weights: Mapping[str, Tensor]) -> FanOut:
    """``fan_out``, by gradients."""
    shapes = {name: [1 if n is None else n for n in shape] for name, shape in graph.inputs.items()}
    # Whole numbers are indices, not weights.
    ones = {
        name: torch.ones(t.shape, dtype=torch.float64) if t.is_floating_point() else t.cpu()
        for name, t in weights.items()
    }
    with torch.inference_mode(False), torch.enable_grad():
        walk = _Count(graph, ones, [torch.ones(shape, dtype=torch.float64) for shape in shapes.values()])
        walk.run(graph.nodes, Analog())
        walk.read_out()
    for counts, total in ((walk.result.events, walk.synapses), (walk.result.direct, walk.direct)):
        sources = list(walk.sources.values())
        gradients: list[Tensor | None] = [None] * len(sources)
        if total.requires_grad:
            gradients = list(torch.autograd.grad(total, sources, allow_unused=True, retain_graph=True))
        for (name, source), gradient in zip(walk.sources.items(), gradients, strict=True):
            counts[name] = torch.zeros_like(source.detach()) if gradient is None else gradient.round()
    return walk.result


class _Count(Walk):
    """The graph with unit weights; what is no signal is a constant of the network."""

    def __init__(self, graph: Graph, weights: dict[str, Tensor], inputs: list[Tensor]) -> None:
        super().__init__(graph, weights, inputs)
        self.result = FanOut()
        self.synapses = torch.zeros((), dtype=torch.float64)
        self.direct = torch.zeros((), dtype=torch.float64)
        self.sources: dict[str, Tensor] = {}
        for name, x in zip(graph.inputs, inputs, strict=True):
            none = torch.zeros_like(x)
            if name in graph.encodings:
                self.sources[name] = torch.ones_like(x).requires_grad_()
                self.env[name] = Counts(self.sources[name], none, none)
            elif name in graph.moving:  # frames of analog values, and each is computed with
                self.env[name] = Counts(none, torch.ones_like(x), none)
            else:
                self.env[name] = constant_counts(x)
        self.timed = graph.timed
        self.weights = weights

    def evaluate(self, node: Node, mode: Any) -> Any:
        if node.role == Role.HEAD or (node.role == Role.CONSTANT and node.shape is None):
            return None
        argument = self._argument(node)
        args, kwargs = map_leaves(argument, list(node.args)), map_leaves(argument, node.kwargs)
        if node.role in (Role.SHAPE, Role.CONSTANT):
            return function(node.op)(*map_leaves(all_ones, args), **map_leaves(all_ones, kwargs))
        if node.op == "operator.getitem":
            return picked(args[0], args[1])
        if node.role == Role.PRODUCT and node.name in self.timed:
            return self._product(node, args, kwargs)
        if node.role in OF_MEANS or node.role == Role.STATIC:
            return self._opaque(node, args, kwargs)
        if node.role in (Role.SPIKE, Role.MAX):
            return self._source(node, args, kwargs)
        if LINEAR[node.op].weighted:
            return self._synapses(node, args, kwargs)
        return self._passed(node, args, kwargs)

    def read_out(self) -> None:
        """Whoever reads the outputs adds up events, divides by the steps and adds what is constant."""
        heads = [name for n in self.graph.nodes if n.role == Role.HEAD for name in n.refs]
        for name in dict.fromkeys([*self.graph.output_names(), *heads]):
            read = self.env[name]
            if name in self.timed and isinstance(read, Counts):
                self._arrive(read)
                size = sum(t.numel() for t in leaves(read.constant))
                self.result.once += Work(additions=size, multiplications=size)

    def _arrive(self, signal: Counts) -> None:
        self.direct = self.direct + sum(t.sum() for t in leaves(signal.events))

    def _source(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Counts:
        """A fresh event at every output of a node that holds time; where nothing varies, a constant."""
        signals = [a for a in leaves((args, kwargs)) if isinstance(a, Counts)]
        timed = node.name in self.timed
        dense = map_leaves(all_ones, args), map_leaves(all_ones, kwargs)
        if node.role == Role.SPIKE:
            shaped, step = dense[0][0], Work()
            work = Work(additions=shaped.numel() * (1 if node.kwargs.get("cap") is None else 2))
        else:
            shaped = first_of(function(node.op)(*dense[0], **dense[1]))
            looks = [self._compared(node, args, kwargs, name) for name in ("ones", "current", "events")]
            work = Work(additions=int(looks[0].sum()) - shaped.numel())
            step = Work(additions=int(looks[1].sum()))  # comparisons, and a difference to the step before
            self.direct = self.direct + looks[2].sum()
        self.result.ann += work
        if not timed:
            self.result.once += work
            return constant_counts(shaped)
        for signal in signals:
            self._arrive(signal)
        self.result.every_step += step
        events = torch.ones(shaped.shape, dtype=torch.float64)
        zeros = torch.zeros_like(events)
        self.sources[node.name] = events.requires_grad_()
        return Counts(events, zeros, zeros)

    def _opaque(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Counts:
        """A value of which only the shape is known: computed once from the input, or kept analog."""
        given = map_leaves(self._example, list(node.args)), map_leaves(self._example, node.kwargs)
        work, step = kept_analog(node, *given)
        ones = map_leaves(one_like, self._examples[node.name])
        self.result.ann += work
        if node.name not in self.timed:
            self.result.once += work
            return constant_counts(ones)
        for signal in leaves((args, kwargs)):
            if isinstance(signal, Counts):
                self._arrive(signal)
        self.result.every_step += step
        ones = first_of(ones)
        return Counts(torch.zeros_like(ones), ones, torch.zeros_like(ones))

    def _example(self, arg: Any) -> Any:
        return self._examples[arg.name] if isinstance(arg, Ref) else arg

    @cached_property
    def _examples(self) -> dict[str, Any]:
        """All values of one sample in their own types, with shapes alone: a count is no index and no mask."""
        weights = {name: value.to("meta") for name, value in self.weights.items()}
        kinds = [self.graph.integers.get(name, torch.float64) for name in self.graph.inputs]
        shapes = [[1 if n is None else n for n in shape] for shape in self.graph.inputs.values()]
        inputs = [torch.empty(shape, dtype=kind, device="meta") for shape, kind in zip(shapes, kinds, strict=True)]
        walk = Walk(self.graph, weights, inputs)
        walk.run([n for n in self.graph.nodes if n.role != Role.HEAD], Analog())
        return walk.env

    def _argument(self, node: Node) -> Callable[[Any], Any]:
        """What stands for an argument: of what a node multiplies by, or chooses with, every value is a weight."""
        rule = LINEAR.get(node.op)
        weighs = rule is not None and rule.factor and node.name in self.timed
        choice = node.args[rule.chooser] if rule is not None and rule.signals is Signals.CHOSEN else None

        def argument(arg: Any) -> Any:
            found = self._fetch(arg)
            static = isinstance(arg, Ref) and arg.name not in self.timed and (choice is None or arg == choice)
            return all_ones(found) if weighs and static else found

        return argument

    def _compared(self, node: Node, args: list[Any], kwargs: dict[str, Any], part: str) -> Tensor:
        own = [getattr(a, part) for a in leaves(args) if isinstance(a, Counts)]
        return compared(node, map_leaves(part_of(part), args), kwargs, own)

    def _synapses(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Counts:
        """Every synapse passes 1 for each event; what arrives is a current, no event."""
        if short(node) in ("linear", "convolution") or short(node).startswith("conv"):
            args = [args[0], args[1], None, *args[3:]]
        elif short(node) in ("addmm", "baddbmm"):
            args[0] = torch.zeros((), dtype=torch.float64)
        fn, weights = function(node.op), map_leaves(unit_weight, args)

        def sent(part: str) -> Tensor:
            out: Tensor = fn(*map_leaves(part_of(part), weights), **kwargs)
            return out

        def sent_if_any(part: str) -> Tensor:
            return sent(part) if any(getattr(a, part).any() for a in leaves(args) if isinstance(a, Counts)) else zeros

        dense = sent("ones")
        work = Work(macs=int(dense.sum()), values=dense.numel())
        self.result.ann += work
        zeros = torch.zeros_like(dense)
        if node.name not in self.timed:
            self.result.once += work
            (read,) = (name for name in node.refs if isinstance(self.env[name], Counts))
            x = self.env[read].ones.requires_grad_()
            total = fn(*map_leaves(lambda a: x if isinstance(a, Counts) else a, weights), **kwargs).sum()
            self.result.inputs[node.name] = read, torch.autograd.grad(total, x)[0].round()
            return constant_counts(dense)
        events, current, constant = (sent_if_any(part) for part in ("events", "current", "constant"))
        self.synapses = self.synapses + events.sum()
        self.result.every_step += Work(macs=int(current.sum()), values=int((current > 0).sum()))
        self.result.once += Work(macs=int(constant.sum()), values=int((constant > 0).sum()))
        varies = (events.detach() + current > 0).double()
        return Counts(zeros, varies, 1 - varies)

    def _product(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Counts:
        """What is sent on are numbers; see ``products``."""
        ones, own, step = product_work(node, args, kwargs)
        self.synapses = self.synapses + product_counts(node, args, kwargs, "events").sum()
        self.result.ann += own
        self.result.every_step += step + Work(macs=int(product_counts(node, args, kwargs, "current").sum()))
        return Counts(torch.zeros_like(ones), ones, torch.zeros_like(ones))

    def _passed(self, node: Node, args: list[Any], kwargs: dict[str, Any]) -> Counts:
        """What an operation without synapses passes on; events that meet a current become part of it."""
        own = [a for a in leaves(args) if isinstance(a, Counts)]

        def passed(part: str) -> Any:
            return path_counts(node, map_leaves(part_of(part), args), kwargs, [getattr(a, part) for a in own])

        dense, current, constant, events = (passed(part) for part in ("ones", "current", "constant", "events"))
        work = applied(node, dense)
        self.result.ann += work
        if node.name not in self.timed:
            self.result.once += work
        elif short(node) not in SUMS:
            given = sum(int(t.sum()) for a in own for t in leaves(a.current))
            self.result.every_step += spread(node, given, current)
        else:
            self.result.every_step += Work(additions=self._read_again(node))
        return self._merged(events, current, constant)

    def _read_again(self, node: Node) -> int:
        """Currents that a sum adds and that others read as well, so that they are no part of its membrane."""
        read = [name for name in node.refs if len(self.graph.users[name]) > 1]
        found = [self.env[name] for name in read]
        return sum(int(t.sum()) for x in found if isinstance(x, Counts) for t in leaves(x.current))

    def _merged(self, events: Any, current: Any, constant: Any) -> Counts:
        if isinstance(current, (list, tuple)):
            parts = [self._merged(*three) for three in zip(events, current, constant, strict=True)]
            return Counts([p.events for p in parts], [p.current for p in parts], [p.constant for p in parts])
        current = (current > 0).double()
        self.direct = self.direct + (events * current).sum()
        return Counts(events * (1 - current), current, (constant > 0).double() * (1 - current))
