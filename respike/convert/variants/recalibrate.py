"""Calibrate some layers of a network again and leave the others as they are."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from ...progress import Listener, listener
from ...ranks import here
from ...text import did_you_mean
from .. import checks, data
from ..calibrate.second_pass import Sequential
from ..caller_state import undisturbed
from ..errors import ConversionError
from ..graph import Graph, Node
from ..graph.rules import Role
from ..options import MSE, Options
from ..passes import correct_readouts
from ..run.execution_plan import Plan
from ..run.neurons import SpikingReLU
from ..run.simulator import Simulator
from .origin import origin_of


@undisturbed()
def recalibrate(
    snn: Simulator,
    calibration: Any,
    layers: str | Sequence[str],
    ann: nn.Module | None = None,
    *,
    samples: int = 512,
    seed: int = 0,
    progress: Listener | None = None,
) -> tuple[Graph, dict[str, SpikingReLU]]:
    """The parts of a network in which these layers are calibrated again, as ``from_torch`` does, and all others kept.

    The synapses before these layers begin with the ANN's weights again, which ridge repair then mends; threshold,
    bias and V_0 are chosen for what the layers before send as they are. What the readouts lack is measured again.

    Args:
        snn: Not changed.
        calibration: As for ``from_torch``.
        layers: Their names: as ``snn.summary()`` shows them, or the module's path alone, ``"features.2"``.
        ann: The model it was made from, if the network was loaded from a file.
        samples: Most samples used.
        seed: Random seed for the sample order.
        progress: As for ``from_torch``.

    Raises:
        ConversionError: an unknown layer, no ANN, or calibration data as ``from_torch`` refuses it.
    """
    device = next(iter(snn.buffers())).device
    checks.instance("ann", ann, nn.Module, "a torch.nn.Module", optional=True)
    samples, seed = checks.whole("samples", samples, 1), checks.seed(seed)
    checks.progress(progress)
    chosen = named(snn, checks.names("layers", layers))
    stream = data.inputs(calibration, snn.graph, seed, device, snn.calibrated_timesteps)
    first = next(stream)
    origin = origin_of(snn, ann, first)
    graph = _mixed(snn, origin, chosen)
    neurons = {
        name: SpikingReLU(_node(origin, name), module.options, module.axis).to(device)  # type: ignore[arg-type]
        if name in chosen
        else copy.deepcopy(module)
        for name, module in snn.neurons.items()
    }
    one = all(snn.neurons[name].threshold.numel() == 1 for name in chosen)  # type: ignore[operator]
    options = Options(
        timesteps=snn.calibrated_timesteps,
        threshold=MSE(granularity="layer" if one else "channel"),
        schedule=snn.schedule,
        delay=snn.delay if snn.schedule == "pipelined" else 1,
        seed=seed,
        samples=samples,
        memory_budget=snn.memory_budget,
    )
    plan, told = Plan(graph), listener(progress if here().first else None)
    second = Sequential(graph, plan, neurons, options, device, told, origin, chosen)  # type: ignore[arg-type]
    for inputs in itertools.chain([first], stream):
        if not second.take(inputs):
            break
    return correct_readouts(graph, second.run()), neurons  # type: ignore[return-value]


def named(snn: Simulator, layers: Iterable[str]) -> frozenset[str]:
    """Node names of the layers that a user names.

    Raises:
        ConversionError: a name that no layer has, or none at all.
    """
    nodes = [n for n in snn.graph.nodes if n.role == Role.SPIKE]
    found: set[str] = set()
    for layer in layers:
        fitting = {n.name for n in nodes if layer in (n.name, n.where, n.path)}
        if not fitting:
            known = [n.where for n in nodes]
            hint = did_you_mean(layer, [*known, *(n.path for n in nodes)])
            raise ConversionError(f"no layer of neurons is called {layer!r}{hint} (layers: {', '.join(known)})")
        found |= fitting
    if not found:
        raise ConversionError("name at least one layer")
    return frozenset(found)


def _mixed(snn: Simulator, origin: Graph, chosen: frozenset[str]) -> Graph:
    """The ANN's graph with the network's weights, except before the layers that are chosen."""
    plan = Plan(origin)
    anew = {ref for name in chosen for node in plan.before(name) for ref in node.refs}
    held = snn.held_graph().tensors
    return replace(origin, tensors={k: v if k in anew or k not in held else held[k] for k, v in origin.tensors.items()})


def _node(graph: Graph, name: str) -> Node:
    node = graph.node(name)
    assert node is not None
    return node
