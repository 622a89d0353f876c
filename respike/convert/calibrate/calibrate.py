"""Choose thresholds and corrections, without labels and without training.

Two passes. The first streams all batches through the ANN for the statistics that ``max`` and
``percentile`` need. The second takes ``Options.samples`` samples through ANN and SNN side by side, node by
node: when a ReLU is reached, the layers before it are converted already, so its threshold and correction are
chosen for the currents that really arrive. Neither needs more memory for more samples or timesteps; what the second
keeps from layer to layer goes to a temporary file where it does not fit. Of several processes each computes what
follows from its own batches, and the network is bit for bit the one that a single process finds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ...progress import SILENT, Progress
from ...ranks import here
from ..graph import Graph
from ..graph.rules import Role
from ..memory_limits import calibration_budget, calibration_piece
from ..options import MSE, Options, Percentile, Threshold
from ..passes import correct_readouts
from ..run.analog import Analog
from ..run.execution_plan import Plan
from ..run.graph_walk import Walk
from ..run.moving_inputs import means
from ..run.neurons import SpikingReLU, channel_axis
from . import statistics
from .checkpoint import NOTHING, Checkpoint
from .second_pass import Sequential
from .statistics import Statistic, per_channel
from .thresholds import require_finite, set_thresholds

STATISTICS = "statistics"
"""The name under which a checkpoint keeps what the first pass has seen."""


def calibrate(
    graph: Graph,
    data: Iterable[list[Tensor]],
    options: Options,
    device: torch.device,
    progress: Progress = SILENT,
    kept: Checkpoint = NOTHING,
) -> tuple[Graph, dict[str, SpikingReLU]]:
    """The graph with weights and readouts corrected, and one calibrated layer of neurons for each ReLU, by node name.

    Args:
        graph: With roles set; not changed.
        data: Batches of inputs, in the order of the graph's.
        options: How to convert.
        device: The network's.
        progress: Told how far the work is.
        kept: Where it is noted how far the work is, and what is done already.

    Raises:
        ConversionError: no data, or activations that are not finite.
    """
    graph = replace(graph, tensors=dict(graph.tensors))  # ridge repair puts other weights in their place
    relus = [n for n in graph.nodes if n.role == Role.SPIKE]
    neurons = {n.name: SpikingReLU(n, options.neurons, channel_axis(n, graph)).to(device) for n in relus}
    for layer in neurons.values():
        layer.fit_to(options.timesteps)
    plan = Plan(graph)
    streamed = not isinstance(options.threshold, MSE)
    gathered: dict[str, Statistic] = {}
    if streamed:
        gathered = {n.name: _statistic(options.threshold) for n in relus}
    second = None
    if isinstance(options.threshold, MSE) or options.correction != "none":
        second = Sequential(graph, plan, neurons, options, device, progress, kept=kept)
    wanted = second is not None
    ranks, done = here(), _restore(gathered, neurons, kept)
    work = calibration_piece(calibration_budget(options.memory_budget, device), device)
    number, failed = -1, list[Exception]()
    for number, given in enumerate(data):
        inputs = graph.first_frames(given, options.timesteps)
        if second is not None and wanted:
            wanted = second.take(inputs)
        if streamed:
            if number >= done and number % ranks.size == ranks.rank:
                try:
                    for piece in _pieces(plan, inputs, work):
                        _observe(graph, plan, piece, neurons, gathered)
                except Exception as error:
                    failed.append(error)  # for all processes, once each has had its batch
            if number % ranks.size == ranks.size - 1:
                ranks.gathered(partial(_raise, failed))
            progress.report("reading batches", number + 1)
            if number >= done and kept.due():
                _note(_merged(gathered, neurons), number + 1, kept)
        elif not wanted:
            break
    ranks.gathered(partial(_raise, failed))
    seen = _merged(gathered, neurons)
    if streamed:
        _note(seen, max(number + 1, done), kept, now=False)
    for name, (statistic, largest) in seen.items():
        neuron = neurons[name]
        neuron.largest = largest
        set_thresholds(neuron, statistic.result() / neuron.options.max_spikes, options)
        neuron.fit_to(options.timesteps)
    gathered.clear()
    if second is not None:
        graph = correct_readouts(graph, second.run())
    return graph, neurons


def _raise(failed: list[Exception]) -> None:
    for error in failed:
        raise error


Seen = dict[str, tuple[Statistic, Tensor]]
"""By the name of a layer, its statistic and the largest output of each channel."""


def _merged(gathered: dict[str, Statistic], neurons: dict[str, SpikingReLU]) -> Seen:
    """What all processes have seen between them, each of them some of the batches."""
    mine = {name: (found, neurons[name].largest) for name, found in gathered.items()}
    ranks = here()
    if ranks.alone or not gathered:
        return mine
    first, *others = ranks.gathered(lambda: copy.deepcopy(mine))
    device = next(iter(neurons.values())).threshold.device
    merged: Seen = {}
    for name, (statistic, largest) in first.items():
        for more, highest in (other[name] for other in others):
            statistic.merge(more)
            if len(highest):  # else it has seen nothing
                largest = torch.maximum(largest, highest.to(largest)) if len(largest) else highest
        statistic.restore({part: x.to(device) for part, x in statistic.state().items()})
        merged[name] = statistic, largest.to(device)
    return merged


def _note(seen: Seen, batches: int, kept: Checkpoint, now: bool = True) -> None:
    tensors = {}
    for name, (statistic, largest) in seen.items():
        parts = {**statistic.state(), "largest": largest}
        tensors.update({f"{name}/{part}": x for part, x in parts.items()})
    kept.note(STATISTICS, batches, tensors, now)


def _restore(gathered: dict[str, Statistic], neurons: dict[str, SpikingReLU], kept: Checkpoint) -> int:
    """Have seen what was noted; how many batches that is."""
    noted = kept.of(STATISTICS)
    if noted is None:
        return 0
    batches, tensors = noted
    for name, statistic in gathered.items() if here().first else ():  # what several have seen is merged once
        device = neurons[name].threshold.device
        own = {key.removeprefix(f"{name}/"): x.to(device) for key, x in tensors.items() if key.startswith(f"{name}/")}
        neurons[name].largest = own.pop("largest")
        statistic.restore(own)
    return int(batches)


def _pieces(plan: Plan, inputs: list[Tensor], work: int) -> Iterator[list[Tensor]]:
    """A batch, in pieces that take so many bytes where samples never meet."""
    size = max(1, work // (4 * plan.peak))
    count = len(inputs[0]) if plan.side_by_side else 0
    if count <= size:
        yield inputs
        return
    for start in range(0, count, size):
        yield [x[start : start + size] for x in inputs]


@torch.no_grad()
def _observe(
    graph: Graph, plan: Plan, inputs: list[Tensor], neurons: dict[str, SpikingReLU], gathered: dict[str, Statistic]
) -> None:
    walk = Walk(graph, graph.tensors, means(graph, inputs))
    for node in graph.nodes:
        if node.role == Role.HEAD:
            continue
        walk.run([node], Analog(), plan.last_use_of_all)
        if node.name in gathered:
            values = walk.env.get(node.name)
            assert isinstance(values, Tensor)
            require_finite(values, node.where)
            found = per_channel(values, neurons[node.name].axis)
            gathered[node.name].update(found.abs() if neurons[node.name].two_sided else found)
            neurons[node.name].saw(found)


def _statistic(threshold: Threshold) -> Statistic:
    """What gathers of the ANN's activations what this threshold needs."""
    return statistics.Percentile(threshold.percentile) if isinstance(threshold, Percentile) else statistics.Maximum()
