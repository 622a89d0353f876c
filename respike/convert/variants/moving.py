"""A network's graph for inputs that move, or that are encoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import checks
from ..errors import ConversionError, warn
from ..graph import BATCH, Graph, leaves
from ..graph.rules import Role
from ..options import Encoding
from ..options.encoding import OF_FRAMES
from ..passes import set_roles
from ..run.analog import Analog
from ..run.execution_plan import Plan
from ..run.graph_walk import Walk


def retimed(graph: Graph, other: Graph) -> Graph:
    """The graph of a network, with roles, whose inputs move and are encoded as those of another.

    Raises:
        ConversionError: nodes that have no place in time any more, as a product of frames and spikes.
    """
    spiked = Plan(graph).spiked  # other functions of the input are static if it holds still
    analog = [n.name for n in graph.nodes if n.role == Role.ANALOG and not spiked.isdisjoint(n.refs)]
    # Where names of nodes are given, none must be taken for that of a module.
    bare = replace(graph, nodes=[replace(n, path="") for n in graph.nodes]) if analog else graph
    judged = set_roles(replace(bare, moving=other.moving, encodings=other.encodings), analog)
    nodes = [replace(n, path=old.path) for n, old in zip(judged.nodes, graph.nodes, strict=True)]
    return require_real(replace(judged, nodes=nodes))


@torch.no_grad()
def require_real(graph: Graph) -> Graph:
    """The graph, if all functions of inputs that move give real numbers, which alone have a mean over time.

    Raises:
        ConversionError: some give truth values or whole numbers; they are listed.
    """
    if not graph.varying:
        return graph
    spiked = Plan(graph).spiked
    alone = [n for n in graph.nodes if n.name not in spiked and n.role != Role.HEAD]
    device = next((t.device for t in graph.tensors.values()), torch.device("cpu"))
    shapes = [(graph.integers.get(name, torch.float32), shape) for name, shape in graph.inputs.items()]
    inputs = [torch.ones([2 if n is BATCH else n for n in s], dtype=kind, device=device) for kind, s in shapes]
    walk = Walk(replace(graph, moving=frozenset(), encodings={}), graph.tensors, inputs)
    walk.run(alone, Analog())
    odd = [n for n in alone if n.role == Role.ANALOG and n.name in graph.timed and not _is_real(walk.env[n.name])]
    if odd:
        places = "".join(f"\n  {n.where} ({n.op.split('.')[1]})" for n in odd)
        raise ConversionError(
            "functions of an input that moves give truth values or whole numbers here, which have no mean over time; "
            f"compute them before the network and give the result as an input of its own:{places}"
        )
    return graph


def _is_real(value: Any) -> bool:
    return all(x.is_floating_point() for x in leaves(value) if isinstance(x, Tensor))


def with_moving(graph: Graph, inputs: Iterable[str] | bool) -> Graph:
    """The same graph, which knows what moves; nothing is encoded.

    Args:
        graph: Of the network.
        inputs: As for ``SpikingNetwork.with_time``.

    Raises:
        ConversionError: an unknown name, or an input that does not begin with the samples.
    """
    return replace(graph, moving=_chosen(graph, inputs), encodings={})


def with_encodings(graph: Graph, encoding: Encoding | None, inputs: Iterable[str] | bool = True) -> Graph:
    """The same graph, some inputs of which are encoded, and others as they were.

    Args:
        graph: Of the network.
        encoding: How; None: not at all.
        inputs: As for ``with_moving``.

    Raises:
        ConversionError: as ``with_moving``; or an encoder of inputs that move for one that holds still.
    """
    chosen = _chosen(graph, inputs)
    others = {name: kept for name, kept in graph.encodings.items() if name not in chosen}
    if encoding is None:
        return replace(graph, encodings=others)
    still = sorted(chosen - graph.moving)
    if still and encoding.encoder in OF_FRAMES:
        raise ConversionError(
            f"the encoder {encoding.encoder!r} is for inputs that move, and {still[0]!r} holds still; give frames "
            "(respike.Frames, snn.with_time()), or take 'error_diffusion'"
        )
    if encoding.encoder == "latency":
        warn(
            "encoder='latency': each value sends one event, whatever it is, so that all have the same mean over time, "
            "which is what a rate code reads: large and small values are told apart by what comes early alone. "
            "'error_diffusion' and 'poisson' keep the values"
        )
    return replace(graph, encodings={**others, **dict.fromkeys(sorted(chosen), encoding)})


def with_scales(graph: Graph, data: Iterable[list[Tensor]]) -> Graph:
    """The same graph, in which an event of each encoded input is worth the largest magnitude in the data.

    Args:
        graph: Of the network; scales that it has stay.
        data: Batches of inputs, in the order of the graph's.

    Raises:
        ConversionError: values so small or large that no event stands for them.
    """
    largest = dict.fromkeys(graph.encodings, 0.0)
    for inputs in data:
        for name, x in zip(graph.inputs, inputs, strict=True):
            if name in largest and x.numel():
                largest[name] = max(largest[name], float(x.abs().max()))
    for name, found in largest.items():
        if graph.encodings[name].scale is None and found and not 1e-30 <= found <= 1e30:
            raise ConversionError(
                f"the largest magnitude of the input {name!r} among the calibration samples is {found:g}; rescale "
                "them, as an event can stand for 1e-30 to 1e30"
            )
    return replace(
        graph,
        encodings={
            name: encoding if encoding.scale is not None else replace(encoding, scale=largest[name] or 1.0)
            for name, encoding in graph.encodings.items()
        },
    )


def _chosen(graph: Graph, inputs: Iterable[str] | bool) -> frozenset[str]:
    """Names of inputs that may vary.

    Raises:
        ConversionError: as ``with_moving``.
    """
    if isinstance(inputs, bool):
        chosen = [name for name in graph.inputs if name not in graph.integers] if inputs else []
    else:
        chosen = list(checks.names("inputs", inputs))
    known = ", ".join(map(repr, graph.inputs))
    for name in chosen:
        if name not in graph.inputs:
            raise ConversionError(f"inputs: there is no input {name!r}; the network has {known}")
        if name in graph.integers:
            raise ConversionError(f"inputs: {name!r} holds whole numbers, as indices are, which have no mean over time")
        if graph.inputs[name][:1] != (BATCH,):
            raise ConversionError(f"the input {name!r} does not begin with the samples, and has no place for time")
    return frozenset(chosen)
