"""What the inputs of smooth functions are on the calibration samples, and the sums of ReLUs that fit them there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from ...progress import SILENT, Progress
from ...ranks import here
from ..errors import ConversionError
from ..graph import Graph, Node, Population
from ..run.analog import Analog
from ..run.execution_plan import Plan
from ..run.graph_walk import Walk
from ..run.moving_inputs import means
from .curves import Curve
from .fit import fitted
from .histogram import Histogram


@torch.no_grad()
def gathered(
    graph: Graph, plan: Plan, found: list[Curve], data: Iterable[list[Tensor]], work: int, progress: Progress = SILENT
) -> dict[str, Histogram]:
    """Histograms of the signals that the functions are of, by the signals' names, over all samples of the data.

    Of several processes each counts in some of the batches; all have the same histograms in the end.

    Args:
        graph: The ANN's, in normal form.
        plan: For a graph with the same values, which knows roles.
        found: The functions.
        data: Batches of inputs, in the order of the graph's.
        work: Bytes that a piece of a batch may take.
        progress: Told how far the work is.

    Raises:
        ConversionError: values that are not finite.
    """
    counted: dict[str, Histogram] = {}
    sources = {curve.source: curve.top.where for curve in found}
    last = max(graph.nodes.index(curve.top) for curve in found)
    nodes = graph.nodes[: last + 1]
    uses = _last_uses(graph, nodes)

    def counts(inputs: list[Tensor]) -> dict[str, Tensor]:
        own = {name: Histogram(inputs[0].device) for name in sources}
        size = max(1, work // (4 * plan.peak)) if plan.side_by_side else len(inputs[0])
        for start in range(0, len(inputs[0]), size):
            piece = [x[start : start + size] for x in inputs] if plan.side_by_side else inputs
            walk = Walk(graph, graph.tensors, means(graph, piece))
            for node in nodes:
                walk.run([node], Analog())
                if node.name in own:
                    _count(walk.env[node.name], own[node.name], sources[node.name])
                for name in uses.get(node.name, ()):
                    walk.env.pop(name, None)
        return {name: histogram.counts.cpu() for name, histogram in own.items()}

    for number, each in enumerate(here().each(data, counts), 1):
        progress.report("reading batches for populations", number)
        for name, table in each.items():
            counted.setdefault(name, Histogram()).counts += table
    return counted


def _count(values: Tensor, histogram: Histogram, where: str) -> None:
    if not bool(values.isfinite().all()):
        raise ConversionError(f"what {where} reads is not finite on the calibration samples; leave such samples out")
    histogram.add(values)


def _last_uses(graph: Graph, nodes: list[Node]) -> dict[str, list[str]]:
    last = {name: node.name for node in nodes for name in node.refs if name not in graph.tensors}
    released: dict[str, list[str]] = {}
    for name, reader in last.items():
        released.setdefault(reader, []).append(name)
    return released


def populations(graph: Graph, found: list[Curve], counted: dict[str, Histogram], k: int) -> dict[str, Population]:
    """The sum of at most k ReLUs nearest to each function, by the name of its node."""
    made = {}
    for curve in found:
        x, weight = counted[curve.source].points()
        y = curve(x, graph)
        fits = y.isfinite()
        if not bool(fits.any()):
            raise ConversionError(f"{curve.top.where} is not finite where its inputs are")
        population = fitted(x[fits].numpy(), y[fits].numpy(), weight[fits].numpy(), k)
        made[curve.top.name] = replace(population, where=curve.top.where)
    return made
