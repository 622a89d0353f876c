"""One timestep of a network as a function without memory: inputs and states to outputs and new states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...graph import Node, Ref, map_leaves
from ...graph.rules import REMEMBERS, Role
from ...run.execution_plan import Plan
from ...run.simulator import Simulator
from ...run.time_varying import first_result
from ...run.weights_module import Weights
from .neuron_step import NeuronStep
from .spellings import spelled

STEPS = "steps"
"""Name of the state that counts the steps so far."""


class OneStep(nn.Module):
    """What the engine does in a step, without a time axis: each operation of the graph on the step's own values.

    Args:
        snn: The network, with the schedule ``synchronous``.
        inputs: For each input of the graph a tensor that it takes.
        from_zero: Whether all states are zero before the first step, and V_0 is added in it; else the potentials are
            V_0.

    Attributes:
        initial: The states before the first step, by name, in order: ``steps``; ``v_mem`` of each layer of neurons and
            ``net``, its spikes so far in units of θ, where they can be taken back; ``sum`` of what goes into a maximum,
            and ``before``, what it gave; ``total`` of what is decoded. They have one number along each axis, or one
            for each channel, and broadcast.
        outputs: Of the graph: those that are tensors.
    """

    def __init__(self, snn: Simulator, inputs: list[Tensor], from_zero: bool) -> None:
        super().__init__()
        self.graph, self.from_zero = snn.held_graph(), from_zero
        self.plan = Plan(snn.graph)
        self.places: dict[str, str] = {}
        self.weights = Weights({name: _in_float32(value.detach().cpu()) for name, value in self.graph.tensors.items()})
        self.neurons = nn.ModuleDict({name: NeuronStep(layer) for name, layer in snn.layers().items()})
        self.initial: dict[str, Tensor] = {}
        with torch.no_grad():
            run = _Run(self, inputs, None)
        self.initial = run.began
        self.outputs = [k for k, value in enumerate(run.outputs()) if isinstance(value, Tensor)]

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """The outputs after this step, and the states behind it, for the inputs and the states before it."""
        count = len(self.graph.inputs)
        run = _Run(self, list(values[:count]), dict(zip(self.initial, values[count:], strict=True)))
        outputs = run.outputs()
        return (*(outputs[k] for k in self.outputs), *(run.after[name] for name in self.initial))

    def place(self, name: str) -> str:
        """The user's name for what computes a value, made different from all others."""
        if name not in self.places:
            node = self.graph.node(name)
            found = node.path if node is not None and node.path else name
            while found in self.places.values():
                found = f"{found}.{name}"
            self.places[name] = found
        return self.places[name]


class _Run:
    """One step under way.

    Args:
        step: What is run.
        inputs: Of the graph.
        before: The states; None where they are to be found out.
    """

    def __init__(self, step: OneStep, inputs: list[Tensor], before: Mapping[str, Tensor] | None) -> None:
        self.step, self.graph, self.before = step, step.graph, before
        self.began: dict[str, Tensor] = {}
        self.after: dict[str, Tensor] = {}
        self.means: dict[str, Any] = {}
        self.env: dict[str, Any] = dict(step.weights.named_buffers())
        self.env |= dict(zip(self.graph.inputs, inputs, strict=True))
        elapsed = self.state(STEPS, torch.zeros(()))
        self.first = (elapsed == 0).to(elapsed.dtype)
        self.clock = self.after[STEPS] = elapsed + 1
        for node in self.graph.nodes:
            self.env[node.name] = self.value(node)

    def state(self, name: str, initial: Tensor) -> Tensor:
        self.began[name] = initial
        return initial if self.before is None else self.before[name]

    def summed(self, name: str, x: Tensor) -> Tensor:
        self.after[name] = self.state(name, _zero(x)) + x
        return self.after[name]

    def outputs(self) -> list[Any]:
        return [self.decoded(o) if isinstance(o, Ref) else o for o in self.graph.outputs]

    def value(self, node: Node) -> Any:
        if node.role == Role.SPIKE:
            return self.fired(node, self.env[node.args[0].name])
        late = node.role == Role.HEAD or node.name in self.step.plan.late_names
        fn, varies = spelled(node, self.graph), node.name in self.graph.timed
        if node.role in REMEMBERS and varies and not late:
            return self.increment(node, fn)
        fetch = self.decoded if late else self.raw
        args, kwargs = map_leaves(fetch, list(node.args)), map_leaves(fetch, dict(node.kwargs))
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        if node.op == "operator.getitem" and isinstance(args[0], Tensor):
            return args[0]  # the first result of an operation that gives several, already taken
        found = fn(*args, **kwargs)
        return found if varies else map_leaves(_in_float32, found)

    def raw(self, arg: Any) -> Any:
        return self.env[arg.name] if isinstance(arg, Ref) else arg

    def decoded(self, arg: Any) -> Any:
        """The mean so far of a value that varies in time, but for what is a function of means already."""
        if not isinstance(arg, Ref):
            return arg
        node, name = self.graph.node(arg.name), arg.name
        behind = node is not None and (node.role == Role.HEAD or name in self.step.plan.late_names)
        if behind or name not in self.graph.timed:
            return self.env[name]
        if name not in self.means:
            total = f"{self.step.place(name)}.total"
            self.means[name] = self.mean(total, self.env[name])
        return self.means[name]

    def mean(self, name: str, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self.mean(f"{name}_{k}", part) for k, part in enumerate(value)]
        return self.summed(name, value) / self.clock

    def fired(self, node: Node, current: Tensor) -> Tensor:
        neuron, place = self.step.neurons[node.name], self.step.place(node.name)
        assert isinstance(neuron, NeuronStep)
        first = torch.zeros_like(neuron.v_init) if self.step.from_zero else neuron.v_init
        v_mem = self.state(f"{place}.v_mem", first)
        if self.step.from_zero:
            v_mem = v_mem + neuron.v_init * self.first  # 0 + V_0 in the first step, later v + 0: neither rounds
        net = self.state(f"{place}.net", torch.zeros_like(neuron.v_init)) if neuron.rule.counts else None
        sent: Tensor
        sent, self.after[f"{place}.v_mem"], counted = neuron(current, v_mem, net)
        if counted is not None:
            self.after[f"{place}.net"] = counted
        return sent

    def increment(self, node: Node, fn: Callable[..., Any]) -> Tensor:
        """What a maximum of sums, or an analog operation on means, has grown by: see ``Synchronous.nonlinear``."""
        place, maximum = self.step.place(node.name), node.role == Role.MAX
        sums: list[str] = []

        def taken(arg: Any) -> Any:
            value = self.raw(arg)
            if isinstance(arg, Ref) and arg.name in self.graph.timed:
                sums.append(f"{place}.sum_{len(sums)}" if sums else f"{place}.sum")
                total = self.summed(sums[-1], value)
                return total if maximum else total / self.clock
            return value * self.clock if maximum and isinstance(value, Tensor) else value

        found = first_result(fn(*map_leaves(taken, list(node.args)), **map_leaves(taken, node.kwargs)))
        total = found if maximum else _finite(found * self.clock)
        name = f"{place}.before"
        before, self.after[name] = self.state(name, _zero(total)), total
        return total - before


def _zero(like: Tensor) -> Tensor:
    return torch.zeros([1] * like.dim())


def _finite(x: Tensor) -> Tensor:
    """0 in the place of what is not finite; ``nan_to_num`` has no operator of ONNX."""
    return torch.where(x - x == 0, x, torch.zeros([1] * x.dim()))


def _in_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
