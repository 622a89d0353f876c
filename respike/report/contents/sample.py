"""One sample's run through the network: who fires when, and how membrane potentials get there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...convert.graph import Node
from ...convert.network import SpikingNetwork
from ...convert.run.graph_walk import Value
from ...convert.run.moving_inputs import means
from ...convert.run.neurons import SpikingReLU
from ...convert.tracing.copy_model import prepare
from ...evaluation.shown_to_ann import AnnOn, ann_output
from .decisions import on_device
from .pictures import picture

NEURONS = 16
"""Neurons of a layer in the raster, at most."""
SCORES = 5
"""Classes whose scores are kept."""


@torch.no_grad()
def sample_run(
    snn: SpikingNetwork,
    inputs: list[Tensor],
    target: Any,
    ann: nn.Module | None,
    *,
    index: int,
    timesteps: int,
    ann_on: AnnOn = "mean",
) -> dict[str, Any] | None:
    """Run one sample and keep what some neurons do; None unless the network is synchronous.

    Args:
        snn: The network.
        inputs: Its inputs, one sample each, ``(1, ...)``.
        target: The sample's label, ``(1,)``.
        ann: For its scores.
        index: Which sample it is, in the order of the data.
        timesteps: T.
        ann_on: As for ``respike.evaluate``.

    Returns:
        ``index``; ``timesteps``; ``label``; ``picture``; ``scores``: for the classes with the highest ones ``class``,
        the SNN's estimates after 1 ... T steps ``snn``, and the ANN's score ``ann``; and ``layers``, each with
        ``name``, ``where``, ``neurons``, how many of them were ``active``, the indices of those that are ``shown``,
        which are evenly spaced among the active ones, their spikes as ``events`` ``[step, row, spikes]``, and of one
        of them the ``trace``: its ``row``, and in units of θ ``current`` and ``spikes`` ``(T,)`` and the membrane
        ``potential`` at the start and after each step, after the reset, ``(T + 1,)``.
    """
    if snn.schedule != "synchronous":
        return None
    inputs = on_device(snn.graph.first_frames(inputs, timesteps), next(iter(snn.buffers())).device)
    args, told = snn.graph.unflatten(inputs), means(snn.graph, inputs)
    expected = None if ann is None else ann_output(prepare(ann, inputs[0].device), snn.graph, inputs, ann_on)
    counts: dict[str, Tensor] = {}

    def count(node: Node, events: Tensor, values: Tensor) -> None:
        if node.name in snn.neurons:
            counts[node.name] = counts.get(node.name, 0) + events.double().sum(0).flatten()

    for _ in snn.blocks(inputs, timesteps=timesteps, recorder=count):
        pass
    shown = {name: _evenly(total.nonzero().flatten()) for name, total in counts.items()}
    currents: dict[str, list[Tensor]] = {name: [] for name in counts}
    places: dict[str, torch.Size] = {}

    def watch(node: Node, current: Value) -> None:
        constant = isinstance(current, Tensor)
        whole = current.unsqueeze(0) if isinstance(current, Tensor) else current.real
        places[node.name] = whole.shape[1:]
        if not (constant and currents[node.name]):  # which is the same in every block of steps
            currents[node.name].append(whole.flatten(1)[:, shown[node.name]])

    for _ in snn.blocks(inputs, timesteps=timesteps, watch=watch):
        pass
    layers = []
    for name, total in counts.items():
        neuron: SpikingReLU = snn.neurons[name]  # type: ignore[assignment]
        given = torch.cat(currents[name])
        given = given.expand(timesteps, -1) if len(given) == 1 else given
        layers.append(
            {
                "name": name,
                "where": neuron.where,
                "neurons": len(total),
                "active": int((total > 0).sum()),
                "shown": shown[name].tolist(),
                **_followed(neuron, places[name], shown[name], given),
            }
        )
    return {
        "index": index,
        "timesteps": timesteps,
        "label": int(target) if isinstance(target, Tensor) and target.numel() == 1 else None,
        "picture": picture(told[0][0]) if len(inputs) == 1 else None,
        "scores": _scores(snn.simulate(*args, timesteps=timesteps), expected),
        "layers": layers,
    }


def _evenly(active: Tensor) -> Tensor:
    if len(active) <= NEURONS:
        return active
    return active[torch.linspace(0, len(active) - 1, NEURONS).round().long()]


def _followed(neuron: SpikingReLU, place: torch.Size, index: Tensor, currents: Tensor) -> dict[str, Any]:
    """Run the chosen neurons alone, step by step, on the currents ``(T, K)`` that they got."""
    if not len(index):
        return {"events": [], "trace": None}
    theta, start, bias = (x.expand(place).flatten()[index] for x in (neuron.threshold, neuron.start, neuron.bias))
    alone = neuron.trial(theta, start)
    given = (currents + bias).unsqueeze(1)
    state = tuple(x.expand(1, len(index)) for x in alone.rest)
    potentials, sent = [state[0]], []
    for current in given:
        spikes, state = alone.run(current.unsqueeze(0), state)
        sent.append(spikes[0])
        potentials.append(state[0])
    fired, membrane = (torch.cat(rows) / unit for rows, unit in ((sent, 1.0), (potentials, theta)))
    events = [[t + 1, k, round(float(fired[t, k]), 6)] for t, k in fired.nonzero().tolist()]
    # A neuron that fires more than some and less than others has something to show.
    row = int(fired.abs().sum(0).argsort()[len(index) // 2])
    trace = {
        "row": row,
        "current": (given[:, 0, row] / theta[row]).tolist(),
        "spikes": fired[:, row].tolist(),
        "potential": membrane[:, row].tolist(),
    }
    return {"events": events, "trace": trace}


def _scores(steps: Any, ann: Any) -> list[dict[str, Any]]:
    """Of the classes with the highest scores after the last step, in this order; none of what is no scores."""
    if not isinstance(steps, Tensor) or steps.dim() != 3 or not steps.is_floating_point():
        return []
    estimates = steps[0].double().cpu()
    expected = None if ann is None else ann[0].double().cpu()
    order = estimates[-1].argsort(descending=True)[:SCORES].tolist()
    return [
        {"class": k, "snn": estimates[:, k].tolist(), "ann": None if expected is None else float(expected[k])}
        for k in order
    ]
