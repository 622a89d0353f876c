"""A converted network as a plain module, ``(batch, time, ...)`` in and out, that can be read, hooked and trained."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from ...layers import OfSums, RunningMean
from ..errors import ConversionError
from ..graph import Node, Ref, map_leaves
from ..graph.operations import function
from ..graph.rules import LINEAR, OF_MEANS, REMEMBERS, Role
from ..run.execution_plan import Plan
from ..run.simulator import Simulator
from .layers import max_pool, neuron_layer, parameter, weighted_layer

ORIGIN = "respike"
"""Key of ``GraphModule.meta`` under which the places of weights and neurons are kept."""

_PLAIN: dict[str, Callable[..., Any]] = {
    "aten.add.Tensor": operator.add,
    "aten.sub.Tensor": operator.sub,
    "aten.mul.Tensor": operator.mul,
    "aten.div.Tensor": operator.truediv,
    "aten.neg.default": operator.neg,
    "aten.reshape.default": torch.reshape,
    "aten.flatten.using_ints": torch.flatten,
    "aten.cat.default": torch.cat,
    "aten.permute.default": torch.permute,
    "aten.transpose.int": torch.transpose,
    "aten.mean.dim": torch.mean,
    "aten.sum.dim_IntList": torch.sum,
}
"""Operations under the names that people know."""


@torch.inference_mode(False)  # or its parameters could not learn
def to_module(snn: Simulator) -> fx.GraphModule:
    """See ``SpikingNetwork.to_module``."""
    if snn.schedule != "synchronous":
        raise ConversionError(
            f"a module runs step by step; convert with schedule='synchronous' (this network's is {snn.schedule!r})"
        )
    if not snn.plan.side_by_side:
        raise ConversionError(
            "in this network samples meet, or an input does not begin with them, so that time cannot be an axis beside "
            "the batch; such networks have no module form"
        )
    return _Builder(snn).build()


class _Builder:
    """Writes a graph down as ``torch.fx`` does: time is folded into the batch, but for what remembers.

    Args:
        snn: Synchronous, with samples side by side.
    """

    def __init__(self, snn: Simulator) -> None:
        self.snn, self.graph, self.plan = snn, snn.held_graph(), Plan(snn.graph)
        self.made = fx.GraphModule(nn.Module(), fx.Graph())
        self.code = fx.Graph()
        self.values: dict[str, Any] = {}
        self.means: dict[str, Any] = {}
        self.names: set[str] = set()
        self.paths = {node.path for node in self.graph.nodes}
        learned = {a.name for n in self.graph.nodes if _weighted(n) for a in n.args[1:3] if isinstance(a, Ref)}
        self.parameters = {k: parameter(v) for k, v in self.graph.tensors.items() if k in learned}
        self.tensors: dict[str, str] = {}
        self.neurons: dict[str, str] = {}

    def build(self) -> fx.GraphModule:
        inputs = {name: self.code.placeholder(_word(name)) for name in self.graph.inputs}
        for name, value in inputs.items():
            self.require_time(name, value)
        first = next(iter(inputs.values()))
        self.steps = self.code.call_method("size", (first, 1))
        for name, value in inputs.items():
            self.values[name] = self.folded(value)
        for node in self.graph.nodes:
            self.values[node.name] = self.value(node)
        outputs = [self.output(o) for o in self.graph.outputs]
        self.code.output(pytree.tree_unflatten(outputs, self.graph.out_spec))
        self.made.graph = self.code
        self.made.graph.eliminate_dead_code()
        self.made.recompile()
        self.made.meta[ORIGIN] = {"tensors": self.tensors, "neurons": self.neurons}
        return self.made.train(self.snn.training)

    def require_time(self, name: str, value: fx.Node) -> None:
        """Without an axis of time, channels would be taken for it."""
        wanted = ("batch", "time", *self.graph.inputs[name][1:])
        known = self.code.call_function(operator.eq, (self.code.call_method("dim", (value,)), len(wanted)))
        told = f"{name} must be ({', '.join(map(str, wanted))})"
        self.code.call_function(torch._assert, (known, told))

    def folded(self, value: fx.Node) -> fx.Node:
        return self.code.call_method("flatten", (value, 0, 1))

    def unfolded(self, value: fx.Node) -> fx.Node:
        return self.code.call_method("unflatten", (value, 0, (-1, self.steps)))

    def value(self, node: Node) -> Any:
        timed = node.name in self.graph.timed
        if node.role == Role.SPIKE:
            current = self.read(node.args[0])
            if len(node.shape or ()) == 4 and node.args[0].name not in self.graph.timed:
                # As the engine lays it out, and with it all that comes behind: so sums have one order.
                current = self.code.call_method("contiguous", (current,), {"memory_format": torch.channels_last})
            current = self.unfolded(current)
            self.neurons[node.name] = self.keep(node, neuron_layer(self.snn.layers()[node.name]))
            return self.folded(self.code.call_module(self.neurons[node.name], (current,)))
        late = node.role == Role.HEAD or node.name in self.plan.late_names
        if node.role in REMEMBERS and timed and not late:
            return self.remembered(node)
        layer = weighted_layer(node, self.parameters)
        if layer is not None:
            name = self.keep(node, layer)
            for part, ref in zip(("weight", "bias"), node.args[1:3], strict=False):
                if isinstance(ref, Ref):
                    self.tensors.setdefault(ref.name, f"{name}.{part}")
            return self.code.call_module(name, (self.read(node.args[0], late),))
        if node.op == "operator.getitem" and self.single(node.args[0]):
            return self.read(node.args[0], late)
        args, kwargs = (map_leaves(lambda a: self.read(a, late), tree) for tree in (list(node.args), node.kwargs))
        return self.code.call_function(self.called(node), tuple(args), dict(kwargs))

    def single(self, source: Ref) -> bool:
        """Whether of the results of what is indexed there only the first was kept: the values, and not their places."""
        node = self.graph.node(source.name)
        remembered = node is not None and node.role in REMEMBERS and node.name in self.graph.timed
        return remembered and source.name not in self.plan.late_names

    def called(self, node: Node) -> Callable[..., Any]:
        plain = _PLAIN.get(node.op)
        binary = plain is None or plain.__module__ != "_operator" or (len(node.args) <= 2 and not node.kwargs)
        return plain if plain is not None and binary else function(node.op)

    def remembered(self, node: Node) -> Any:
        """A maximum, function or product: on what there was so far."""
        constants = [name for name in dict.fromkeys(node.refs) if name in self.graph.tensors]
        if constants and node.role == Role.MAX:
            raise ConversionError(f"{node.where} compares a signal with a constant, for which there is no module yet")
        signals = [name for name in node.refs if name not in constants]
        applied = _Applied(node, {name: self.parameters.get(name, self.graph.tensors[name]) for name in constants})
        place = self.keep(node, max_pool(node) or OfSums(applied, len(signals), of_means=node.role in OF_MEANS))
        for name in constants:
            self.tensors.setdefault(name, f"{place}.function.{_word(name)}")
        return self.folded(self.code.call_module(place, tuple(self.unfolded(self.values[name]) for name in signals)))

    def read(self, arg: Any, late: bool = False) -> Any:
        """The value of an argument; of its mean so far, where the estimate is wanted."""
        if not isinstance(arg, Ref):
            return arg
        if arg.name in self.graph.tensors and arg.name not in self.values:
            self.values[arg.name] = self.code.get_attr(self.hold(arg.name))
        return self.mean(arg.name) if late else self.values[arg.name]

    def mean(self, name: str) -> Any:
        node = self.graph.node(name)
        behind = node is not None and (node.role == Role.HEAD or name in self.plan.late_names)
        if behind or name not in self.graph.timed:
            return self.values[name]
        if name not in self.means:
            target = self.unused(f"mean_of_{_word(name)}")
            self.made.add_submodule(target, RunningMean())
            self.means[name] = self.folded(self.code.call_module(target, (self.unfolded(self.values[name]),)))
        return self.means[name]

    def output(self, output: Any) -> Any:
        return self.unfolded(self.read(output, late=True)) if isinstance(output, Ref) else output

    def hold(self, name: str) -> str:
        """A tensor that no layer holds, as a parameter if it is a weight, else as a buffer."""
        target = self.unused(_word(name))
        if name in self.parameters:
            self.made.register_parameter(target, self.parameters[name])
        else:
            self.made.register_buffer(target, self.graph.tensors[name].clone())
        self.tensors[name] = target
        return target

    def keep(self, node: Node, layer: nn.Module) -> str:
        """A layer under the user's name for it, or near it."""
        block = not node.path or any(path.startswith(f"{node.path}.") for path in self.paths)
        own = f"{node.path}.{node.name}" if node.path else node.name
        target = self.unused(".".join(map(_word, (own if block else node.path).split("."))))
        self.made.add_submodule(target, layer)
        return target

    def unused(self, name: str) -> str:
        target, k = name, 0
        while target in self.names:
            k += 1
            target = f"{name}_{k}"
        self.names.add(target)
        return target


class _Applied(nn.Module):
    """An operation of a graph with all its arguments but the signals."""

    def __init__(self, node: Node, constants: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.node, self.constants = node, frozenset(constants)
        for name, value in constants.items():
            if isinstance(value, nn.Parameter):
                self.register_parameter(_word(name), value)
            else:
                self.register_buffer(_word(name), value.clone())

    def forward(self, *inputs: Any) -> Any:
        given = iter(inputs)

        def value(arg: Any) -> Any:
            if not isinstance(arg, Ref):
                return arg
            return getattr(self, _word(arg.name)) if arg.name in self.constants else next(given)

        args, kwargs = (map_leaves(value, tree) for tree in (list(self.node.args), self.node.kwargs))
        found = function(self.node.op)(*args, **kwargs)
        return found[0] if isinstance(found, (list, tuple)) else found

    def extra_repr(self) -> str:
        return self.node.op


def _weighted(node: Node) -> bool:
    rule = LINEAR.get(node.op)
    return rule is not None and rule.weighted


def _word(name: str) -> str:
    """A name that attributes and arguments can have."""
    word = re.sub(r"\W", "_", name)
    return "self_" if word == "self" else word  # which is the module itself in the code that torch.fx writes
