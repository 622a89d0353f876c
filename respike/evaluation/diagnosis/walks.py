"""What each layer of a batch gets and gives: in the ANN, in the SNN, and in each with what the other one sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...convert.graph import Graph, Node
from ...convert.network import SpikingNetwork
from ...convert.run.analog import Activations
from ...convert.run.execution_plan import Plan
from ...convert.run.graph_walk import Value, Walk
from ...convert.run.moving_inputs import frame_by_frame, means
from ...convert.run.time_varying import DeferredSum, Timed
from ..shown_to_ann import AnnOn, mean_of


@dataclass(frozen=True)
class Batch:
    """Means over the T steps of a run, ``(N, ...)``, by the names of layers.

    Attributes:
        ann: The ANN's currents.
        own: The currents that the ANN's weights make of what the SNN's layers before send.
        arrived: The currents that really arrived in the SNN, without the neurons' bias.
        alone: The currents that the SNN's weights make of what the ANN's layers before send.
        sent: What the SNN's layers send.
        outputs: The network's outputs: the ANN's, those of ``own``, and the SNN's.
    """

    ann: Mapping[str, Tensor]
    own: Mapping[str, Tensor]
    arrived: Mapping[str, Tensor]
    alone: Mapping[str, Tensor]
    sent: Mapping[str, Tensor]
    outputs: tuple[list[Any], ...]


class Given(Activations):
    """The operations of an ANN, between layers of neurons that send what is given.

    What lies between is affine, a maximum or kept analog, all of which the mean over time of an SNN goes through as
    the values of an ANN do: a max-pool sends the differences of the maximum of sums.

    Args:
        sent: What each layer sends, ``(N, ...)``, by node name; None: its ReLU.

    Attributes:
        currents: Of each layer.
        sent: Of each layer.
    """

    def __init__(self, sent: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.given = sent
        self.currents: dict[str, Tensor] = {}

    def spike(self, node: Node, x: Value) -> Value:
        self.currents[node.name] = x
        if self.given is None:
            return super().spike(node, x)
        self.sent[node.name] = self.given[node.name]
        return self.sent[node.name]


class Means:
    """Sums what comes in blocks of timesteps, and gives the mean over time."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, name: str, value: Value) -> None:
        """A constant ``(N, ...)``, or values that vary in time, ``(T, N, ...)``."""
        found, steps = (value, 1) if isinstance(value, Tensor) else (value.real.sum(0), _steps(value))
        before = self.sums.get(name)
        self.sums[name] = (found, steps) if before is None else (before[0] + found, before[1] + steps)

    def result(self) -> dict[str, Tensor]:
        return {name: total / steps for name, (total, steps) in self.sums.items()}


def _steps(value: Timed | DeferredSum) -> int:
    return len((value.second if isinstance(value, DeferredSum) else value).values)


@torch.no_grad()
def walk(snn: SpikingNetwork, origin: Graph, inputs: list[Tensor], timesteps: int, ann_on: AnnOn = "mean") -> Batch:
    """Everything for one batch.

    Args:
        snn: The network.
        origin: The ANN's graph, on the network's device.
        inputs: Of the network, there too.
        timesteps: T.
        ann_on: What the ANN is shown for its outputs.
    """
    kind = next((b.dtype for b in snn.buffers() if b.is_floating_point()), torch.float32)
    inputs = [x.to(kind) if x.is_floating_point() else x for x in inputs]
    weights = snn.held_graph().tensors
    ann, ann_outputs = _analog(origin, origin.tensors, means(origin, inputs), None)
    if ann_on == "frames":
        each = (_analog(origin, origin.tensors, shown, None)[1] for shown in frame_by_frame(origin, inputs))
        ann_outputs = mean_of(each)
    arrived, sent = Means(), Means()
    outputs: list[Any] = []
    for block in snn.blocks(
        inputs,
        timesteps=timesteps,
        only_last=True,
        recorder=lambda node, events, values: sent.add(node.name, Timed(values)),
        watch=lambda node, current: arrived.add(node.name, current),
    ):
        outputs = [x[-1] if isinstance(x, Tensor) else x for x in block]
    really = {name: value for name, value in sent.result().items() if name in snn.neurons}
    own, own_outputs = _analog(origin, origin.tensors, means(origin, inputs), really)
    alone, _ = _analog(snn.graph, weights, means(origin, inputs), ann.sent)
    return Batch(
        ann.currents,
        own.currents,
        arrived.result(),
        alone.currents,
        really,
        (ann_outputs, own_outputs, outputs),
    )


def _analog(
    graph: Graph, weights: Mapping[str, Tensor], shown: list[Tensor], sent: Mapping[str, Tensor] | None
) -> tuple[Given, list[Any]]:
    mode = Given(sent)
    walk = Walk(graph, weights, shown)
    walk.run(graph.nodes, mode, Plan(graph).last_use_of_all)
    return mode, walk.outputs(mode)
