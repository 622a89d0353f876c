"""A spiking network in numbers and words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import Tensor

from .. import text
from .choose.choice import Choice
from .closeness import Closeness
from .count.fan_out import FanOut
from .graph import Node
from .graph.rules import Role
from .run.arithmetic import may_add_up_events
from .run.event_synapses import one_by_one, why_dense
from .run.neurons import SpikingReLU
from .run.simulator import Simulator
from .run.whole_synapses import by_units, events_below


def describe(snn: Simulator, counts: FanOut, choice: Choice | None, closeness: Closeness | None) -> dict[str, Any]:
    """Settings and layers, in what JSON can hold."""
    nodes = snn.graph.nodes
    return {
        "format": "respike network 1",
        "schedule": snn.schedule,
        "delay": snn.delay if snn.schedule == "pipelined" else None,
        "timesteps": snn.timesteps,
        "precision": snn.precision,
        "latency": snn.latency,
        "choice": None if choice is None else choice.as_dict(),
        "closeness": None if closeness is None else closeness.as_dict(),
        "moving": sorted(snn.graph.moving),
        "encodings": {name: asdict(encoding) for name, encoding in sorted(snn.graph.encodings.items())},
        "populations": [population.as_dict() for _, population in sorted(snn.graph.populations.items())],
        "layers": _layers(snn, counts),
        "static": [n.where for n in nodes if n.role == Role.STATIC],
        "function": [n.where for n in nodes if n.role == Role.FUNCTION],
        "product": [n.where for n in nodes if n.role == Role.PRODUCT],
        "analog": [n.where for n in nodes if n.role == Role.ANALOG],
        "head": [n.where for n in nodes if n.role == Role.HEAD],
    }


def table(about: dict[str, Any], closeness: Closeness | None) -> str:
    """A line for each spiking layer of a description, then what is not spiking, the schedule, and how close it came."""
    rows = [("layer", "neuron", "size", "threshold", "fan-out", "bias")]
    for layer in about["layers"]:
        kind = layer["neuron"] + ("" if layer["max_spikes"] == 1 else f" x{layer['max_spikes']}")
        kind += f", trained L = {layer['levels']}" if layer["levels"] else ""
        fan_out = _span(layer["fan_out"]) + (" pooled" if layer["pooled"] else "")
        bias = "-" if layer["bias"] == [0, 0] else _span(layer["bias"])
        size = "x".join(str(n) for n in layer["shape"])
        rows.append((layer["where"], kind, size, _span(layer["threshold"]), fan_out, bias))
    lines = text.table(rows)
    if about["moving"]:
        lines.append("a frame for each timestep: " + ", ".join(about["moving"]))
    for name, encoding in about["encodings"].items():
        how = f" by {encoding['encoder']}, scale {encoding['scale']:.4g}" if encoding["encoder"] != "events" else ""
        lines.append(f"events: {name}{how}")
    for made in about["populations"]:
        count = "1 neuron" if made["neurons"] == 1 else f"{made['neurons']} neurons"
        lines.append(f"population: {made['where']}, {count} for each value, error {100 * made['error']:.2g} %")
    if about["static"]:
        lines.append("computed once, from the input alone: " + ", ".join(about["static"]))
    for role, what in (("function", "functions of means"), ("product", "products of signals")):
        if about[role]:
            lines.append(f"{what}: " + ", ".join(dict.fromkeys(about[role])))
    if about["analog"]:
        lines.append("kept analog: " + ", ".join(about["analog"]))
    if about["head"]:
        lines.append("head, on the decoded output: " + ", ".join(about["head"]))
    delay = "" if about["delay"] is None else f", delay {about['delay']}"
    lines.append(f"schedule {about['schedule']}{delay}, T = {about['timesteps']}, latency {about['latency']} steps")
    if closeness is not None:
        lines.append(f"when converted, at T = {closeness.timesteps}: {closeness}")
    return "\n".join(lines)


def _layers(snn: Simulator, counts: FanOut) -> list[dict[str, Any]]:
    found = []
    for name, module in snn.neurons.items():
        node = snn.graph.node(name)
        assert isinstance(module, SpikingReLU)
        assert node is not None
        reach, pooled = _reach(snn, name, counts)
        found.append(
            {
                "name": name,
                "where": module.where,
                "neuron": module.options.neuron,
                "max_spikes": module.options.max_spikes,
                "levels": module.levels,
                "shape": [n for n in node.shape or () if n is not None and n > 0],
                "threshold": _range(module.threshold),
                "fan_out": _range(reach),
                "pooled": pooled,
                "bias": _range(module.bias),
            }
        )
    return found


def _reach(snn: Simulator, name: str, counts: FanOut) -> tuple[Tensor, bool]:
    """Fan-out of a layer, or of the max-pool that takes its spikes."""
    pools = [n.name for n in snn.graph.users.get(name, []) if n.role == Role.MAX and n.name in counts.events]
    if pools and not counts.events[name].any():
        return counts.events[pools[0]], True
    return counts.events[name], False


def _range(values: Tensor) -> list[float]:
    return [float(values.min()), float(values.max())]


def _span(ends: list[float]) -> str:
    low, high = ends
    return f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"


def synapses_of(snn: Simulator) -> dict[str, str]:
    """See ``SpikingNetwork.synapses``."""
    weights, found, whole = dict(snn.weights.named_buffers()), {}, one_by_one(snn.graph)
    plan = snn.plan
    for name, why in why_dense(snn.graph, weights, plan.sparse, plan.late_names).items():
        node = snn.graph.node(name)
        place = name if node is None or node.where in found else node.where
        if snn.schedule == "layerwise":
            why = "a layerwise network hands on means over time"
        elif not may_add_up_events(snn.precision, next(snn.buffers()).device):
            why = "bfloat16, by the processor's tiles"
        elif snn.precision == "int8" and node is not None and node.refs[0] in whole and node.refs[1] in weights:
            found[place] = _in_eight_bits(node, weights[node.refs[1]], why)
            continue
        found[place] = f"dense: {why}" if why else "adds up events"
    return found


def _in_eight_bits(node: Node, weight: Tensor, why: str) -> str:
    below, units = events_below(node, weight, not why), by_units(node, weight.device)
    if below and units:
        return f"adds up events where less than {100 * below:g} % are active, else by 8-bit units of the processor"
    return "dense: 8-bit units of the processor" if units else f"dense: {why}" if why else "adds up events"
