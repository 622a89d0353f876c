"""The same network with thresholds of 1: θ goes into the weights before and behind each layer of neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..graph import BATCH, Graph, Node, Ref, Rewriter, function, map_leaves, rewrite
from ..graph.rules import MOVES, POOLS, RESHAPES, Role
from ..passes import fold_scales, prune
from ..run.arithmetic import carried
from ..run.neurons import SpikingReLU
from ..run.spike_units import pools_in

_SYNAPSES = frozenset({"aten.linear.default", *(f"aten.conv{n}d.default" for n in (1, 2, 3))})
MEANS = frozenset(f"aten.{kind}avg_pool{n}d.default" for kind in ("", "adaptive_") for n in (1, 2, 3))


def normalise_thresholds(graph: Graph, neurons: Mapping[str, SpikingReLU]) -> tuple[Graph, dict[str, SpikingReLU]]:
    """An equivalent network in which every threshold is 1 and a spike carries 1.

    A layer's current is divided by θ: its weights and its bias, each branch of a sum by itself. What reads its spikes
    multiplies by θ: the weights behind it, through max-pools, averages, concatenation and what moves values. Where
    nothing takes a factor up (spikes that are added to something, an operation kept analog, an output) it stays, as
    an operation of its own, one synapse for each neuron. The events of an encoded input carry 1 too.

    Args:
        graph: With roles and weights; not changed.
        neurons: Its layers of neurons, by node name; not changed.
    """
    old = dict(neurons)
    graph, worth = _unit_events(graph)
    graph = prune(fold_scales(prune(rewrite(graph, _Unit(graph, old, worth)))))
    return graph, {node.name: _unit_neuron(node, old[node.name]) for node in graph.nodes if node.role == Role.SPIKE}


def _unit_events(graph: Graph) -> tuple[Graph, dict[str, Tensor]]:
    """The graph whose encoded inputs send events that carry 1, each with a factor behind it; the factors by name."""
    kind = next((t.dtype for t in graph.tensors.values() if t.is_floating_point()), torch.float32)
    device = next((t.device for t in graph.tensors.values()), None)
    encodings, worth = dict(graph.encodings), dict[str, Tensor]()
    behind: dict[str, Node] = {}
    for name, encoding in graph.encodings.items():
        encodings[name] = replace(encoding, unit=True)
        if encoding.carried != 1:
            shape = graph.inputs[name]
            node = Node(f"{name}_events", "aten.mul.Tensor", (Ref(name),), path="", shape=shape, role=str(Role.LINEAR))
            behind[name] = node
            worth[node.name] = torch.full([1] * max(1, len(shape) - 1), encoding.carried, dtype=kind, device=device)

    def passed(arg: Any) -> Any:
        return Ref(behind[arg.name].name) if isinstance(arg, Ref) and arg.name in behind else arg

    nodes = [
        n if n.is_shape else replace(n, args=map_leaves(passed, n.args), kwargs=map_leaves(passed, n.kwargs))
        for n in graph.nodes
    ]
    outputs = [passed(x) for x in graph.outputs]
    return replace(graph, nodes=[*behind.values(), *nodes], outputs=outputs, encodings=encodings), worth


def _unit_neuron(node: Node, old: SpikingReLU) -> SpikingReLU:
    made = SpikingReLU(node, old.options, old.axis)
    made.threshold, made.bias, made.start = torch.ones_like(old.threshold), old.bias / old.threshold, old.start.clone()
    return made


class _Unit:
    """The step of the rewriting: neurons between two factors, and factors past what lets them pass.

    Attributes:
        carried: For each factor its source and what it multiplies by, ``(C, 1, ...)`` or of the same rank.
    """

    def __init__(self, graph: Graph, neurons: dict[str, SpikingReLU], worth: Mapping[str, Tensor]) -> None:
        self.graph, self.neurons, self.worth = graph, neurons, worth
        self.carried: dict[str, tuple[Ref, Tensor]] = {}
        self.single = {name for name, users in graph.users.items() if len(users) == 1} - set(graph.output_names())

    def __call__(self, node: Node, rewriter: Rewriter) -> Ref:
        if node.name in self.worth:
            return self._factor(node, node.args[0], self.worth[node.name], rewriter)
        if node.role == Role.SPIKE:
            return self._neuron(node, rewriter)
        if node.op == "aten.cat.default" and len(node.args) == 2 and node.args[1] == 1:
            return self._joined(node, rewriter)
        source, scale = self._carried(node.args[0] if node.args else None)
        if source is None or scale is None or node.role not in (Role.LINEAR, Role.MAX):
            return rewriter.keep(node)
        if node.op in _SYNAPSES:
            return self._synapses(node, source, scale, rewriter)
        pools = node.op in POOLS | MEANS and pools_in(scale, node)
        passed = scale if pools else self._moved(node, scale, rewriter)
        if passed is None:
            return rewriter.keep(node)
        return self._factor(node, rewriter.keep(replace(node, args=(source, *node.args[1:]))), passed, rewriter)

    def _carried(self, arg: Any) -> tuple[Ref | None, Tensor | None]:
        return self.carried.get(arg.name, (None, None)) if isinstance(arg, Ref) else (None, None)

    def _factor(self, like: Node, source: Ref, scale: Tensor, rewriter: Rewriter) -> Ref:
        """``source`` times ``scale``, to be taken up by what reads it."""
        ref = rewriter.add(like, "aten.mul.Tensor", source, rewriter.tensor(f"{like.name}_factor", scale))
        made = rewriter.find(ref)
        assert made is not None
        self.carried[ref.name] = source, scale
        return rewriter.swap(replace(made, role=str(Role.LINEAR)))

    def _neuron(self, node: Node, rewriter: Rewriter) -> Ref:
        theta = self.neurons[node.name].threshold
        cap = node.kwargs.get("cap")
        uniform = bool((theta == theta.flatten()[0]).all())
        # Neurons never send more than the cap, whatever the graph says; one for each channel it cannot say.
        kwargs = {"cap": cap / float(theta.flatten()[0])} if cap is not None and uniform else {}
        kwargs |= {key: node.kwargs[key] for key in ("levels", "shift") if kwargs and key in node.kwargs}
        kwargs |= {key: node.kwargs[key] for key in ("two_sided",) if key in node.kwargs}
        if uniform and "step" in node.kwargs:
            kwargs = {"step": node.kwargs["step"] / float(theta.flatten()[0]), "shift": node.kwargs["shift"]}
        source = self._scaled(node.args[0], 1 / theta, node, rewriter)
        return self._factor(node, rewriter.keep(replace(node, args=(source,), kwargs=kwargs)), theta, rewriter)

    def _scaled(self, ref: Ref, scale: Tensor, like: Node, rewriter: Rewriter) -> Ref:
        """A current times ``scale``: a sum branch by branch, a factor before it made one with it."""
        node = rewriter.find(ref)
        source, before = self._carried(ref)
        if source is not None and before is not None:
            return self._factor(like, source, before * scale, rewriter)
        if node is not None and node.op == "aten.add.Tensor" and not node.kwargs and node.name in self.single:
            refs = [a for a in node.args if isinstance(a, Ref)]
            if len(refs) == 2 and all(a.name not in rewriter.tensors and self._same(a, node, rewriter) for a in refs):
                return rewriter.add(node, node.op, *(self._scaled(a, scale, like, rewriter) for a in refs))
        return self._factor(like, ref, scale, rewriter)

    @staticmethod
    def _same(ref: Ref, node: Node, rewriter: Rewriter) -> bool:
        return rewriter.shape(ref.name) == node.shape

    def _synapses(self, node: Node, source: Ref, scale: Tensor, rewriter: Rewriter) -> Ref:
        weight = rewriter.tensors.get(getattr(node.args[1], "name", ""))
        found = None if weight is None else carried(node, weight, scale)
        if found is None:
            return rewriter.keep(node)
        name = rewriter.tensor(f"{node.name}_weight", found)
        return rewriter.keep(replace(node, args=(source, name, *node.args[2:])))

    def _joined(self, node: Node, rewriter: Rewriter) -> Ref:
        """Concatenated channels, each with its own factor; 1 for what has none."""
        parts, scales = [], []
        for ref in node.args[0]:
            source, scale = self._carried(ref)
            shape = rewriter.shape(ref.name)
            channels = shape[1] if len(shape) > 1 else None
            if channels is None or channels < 1 or shape[0] is not BATCH:
                return rewriter.keep(node)
            scale = torch.ones([1] * (len(shape) - 1)) if scale is None else scale
            if any(n != 1 for n in scale.shape[1:]):
                return rewriter.keep(node)
            parts.append(ref if source is None else source)
            scales.append(scale.expand(channels, *scale.shape[1:]))
        if parts == list(node.args[0]):
            return rewriter.keep(node)
        kind = next(t for t in self.neurons.values()).threshold
        joined = rewriter.keep(replace(node, args=(parts, *node.args[1:])))
        return self._factor(node, joined, torch.cat([s.to(kind) for s in scales]), rewriter)

    def _moved(self, node: Node, scale: Tensor, rewriter: Rewriter) -> Tensor | None:
        """The factor of each value where an operation moves values; None if it does more."""
        before, after = rewriter.shape(node.args[0].name), node.shape or ()
        size, wanted = [n for n in before[1:] if n], [n for n in after[1:] if n]
        fixed = len(size) + 1 == len(before) and len(wanted) + 1 == len(after) and min(size + wanted, default=1) > 0
        if node.op not in MOVES or not fixed or before[0] is not BATCH or after[0] is not BATCH:
            return None
        if node.op not in RESHAPES and node.refs != [node.args[0].name]:
            return None
        rest = [[-1, *wanted]] if node.op in RESHAPES else node.args[1:]
        each = function(node.op)(scale.expand(1, *size), *rest, **node.kwargs)
        if each.shape != (1, *wanted):
            return None
        found: Tensor = each[0]
        for axis in range(found.dim()):  # as small as it goes: only then do synapses take it up
            first = found.narrow(axis, 0, 1)
            found = first if bool((found == first).all()) else found
        return found.contiguous()
