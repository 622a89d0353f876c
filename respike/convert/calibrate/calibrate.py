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
from .second_pass import Sequential
from .statistics import Statistic, per_channel
from .thresholds import require_finite, set_thresholds


def calibrate(
    graph: Graph,
    data: Iterable[list[Tensor]],
    options: Options,
    device: torch.device,
    progress: Progress = SILENT,
) -> tuple[Graph, dict[str, SpikingReLU]]:
    """The graph with weights and readouts corrected, and one calibrated layer of neurons for each ReLU, by node name.

    Args:
        graph: With roles set; not changed.
        data: Batches of inputs, in the order of the graph's.
        options: How to convert.
        device: The network's.
        progress: Told how far the work is.

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
        second = Sequential(graph, plan, neurons, options, device, progress)
    wanted = second is not None
    ranks = here()
    work = calibration_piece(calibration_budget(options.memory_budget, device), device)
    for number, given in enumerate(data):
        inputs = graph.first_frames(given, options.timesteps)
        if second is not None and wanted:
            wanted = second.take(inputs)
        if streamed:
            for piece in _pieces(plan, inputs, work) if number % ranks.size == ranks.rank else ():
                _observe(graph, plan, piece, neurons, gathered)
            progress.report("reading batches", number + 1)
        elif not wanted:
            break
    if streamed:
        _merge(gathered, neurons)
    for node in relus if streamed else ():
        neuron = neurons[node.name]
        set_thresholds(neuron, gathered[node.name].result() / neuron.options.max_spikes, options)
        neuron.fit_to(options.timesteps)
    gathered.clear()
    if second is not None:
        graph = correct_readouts(graph, second.run())
    return graph, neurons


def _merge(gathered: dict[str, Statistic], neurons: dict[str, SpikingReLU]) -> None:
    """Of several processes, each of which has seen some of the batches: what they have seen between them."""
    ranks = here()
    if ranks.alone:
        return
    seen = ranks.gathered(lambda: {name: (found, neurons[name].largest) for name, found in gathered.items()})
    for name in gathered:
        gathered[name] = copy.copy(seen[0][name][0])
        for rank, (found, largest) in enumerate(one[name] for one in seen):
            if rank:
                gathered[name].merge(found)
            if len(largest):  # else it has seen nothing
                neurons[name].saw(largest[None])


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
            gathered[node.name].update(found)
            neurons[node.name].saw(found)


def _statistic(threshold: Threshold) -> Statistic:
    """What gathers of the ANN's activations what this threshold needs."""
    return statistics.Percentile(threshold.percentile) if isinstance(threshold, Percentile) else statistics.Maximum()
