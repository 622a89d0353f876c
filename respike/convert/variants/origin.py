"""The ANN that a spiking network was made from, as the graph in normal form that calibration began with."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from ..data import example
from ..errors import ConversionError
from ..graph import Graph
from ..graph.rules import Role
from ..run.moving_inputs import means
from ..run.simulator import Simulator
from ..tracing.normal_form import normal_form


def origin_of(snn: Simulator, ann: nn.Module | None, inputs: list[Tensor]) -> Graph:
    """The ANN's graph: the network's own, or that of a model which is given. Its tensors lie where the network's do.

    Args:
        snn: The network.
        ann: The model it was made from; None: what ``from_torch`` kept of it.
        inputs: A batch to trace with.

    Raises:
        ConversionError: the network kept nothing and no model is given, the model does not fit, or the network has
            unit thresholds, so that its units are not the model's.
    """
    if snn.unit_thresholds:
        raise ConversionError(
            "a network with unit thresholds (normalised or quantised) computes in units of its thresholds, not in the "
            "ANN's; take the network it was made from"
        )
    device = next(iter(snn.buffers())).device
    if ann is None:
        if snn.origin is None:
            raise ConversionError(
                "this network does not hold the ANN it was made from (one that was loaded never does, and one from a "
                "NIR file has none); pass ann=model"
            )
        return snn.origin.to(device)
    kept = [n.path or n.name for n in snn.graph.nodes if n.role == Role.ANALOG]
    shown = snn.graph.unflatten(example(means(snn.graph, inputs)))
    graph = normal_form(ann, shown, kept, snn.graph.populations).to(device)
    graph = replace(graph, moving=snn.graph.moving, encodings=snn.graph.encodings)
    _require_fit(graph, snn, type(ann).__name__)
    return graph


def _require_fit(graph: Graph, snn: Simulator, model: str) -> None:
    """Whether every layer of neurons and every weight has its counterpart."""
    own, given = ({n.name: n for n in g.nodes if n.role == Role.SPIKE} for g in (snn.graph, graph))
    for name in dict.fromkeys([*own, *given]):
        if name not in given or name not in own:
            node = own.get(name) or given[name]
            holder, other = ("network", "model") if name in own else ("model", "network")
            raise ConversionError(
                f"{model} is not the model this network was made from: the {holder}'s ReLU {node.where} has no "
                f"counterpart in the {other}"
            )
        if own[name].shape != given[name].shape:
            raise ConversionError(
                f"{model} is not the model this network was made from: {own[name].where} has the shape "
                f"{own[name].shape} in the network and {given[name].shape} in the model"
            )
    for name, tensor in graph.tensors.items():
        held = snn.graph.tensors.get(name)
        if held is not None and held.shape != tensor.shape:
            raise ConversionError(
                f"{model} is not the model this network was made from: its weight {name} has the shape "
                f"{tuple(tensor.shape)}, the network's {tuple(held.shape)}"
            )
