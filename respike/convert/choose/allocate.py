"""More spikes a step for the layers where they lessen the output's error most for their price, within a budget.

Gains and prices of single layers are estimates (``sensitivity.py``); what the steps cost together is measured, on
networks calibrated with them, and the estimates are set right by it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import torch

from ..calibrate.calibrate import calibrate
from ..calibrate.options import Options
from ..data import first_batches, first_samples
from ..errors import ConversionWarning
from ..graph import Graph
from ..graph.rules import Role
from ..run.neurons import SpikingReLU
from .allocation import Allocation, Share
from .measure import Measure
from .sensitivity import Level, sensitivity

SAMPLES = 128
"""Calibration samples on which gains are estimated."""

ROUNDS = 5
"""Most networks that are calibrated to spend the budget well."""


def allocate(
    graph: Graph,
    stream: Iterator[tuple[Any, ...]],
    options: Options,
    device: torch.device,
    progress: Callable[[str], None] | None = None,
) -> tuple[Graph, dict[str, SpikingReLU], Allocation]:
    """What ``calibrate`` returns, for the best network found within the budget, and how it came about.

    A budget of 1 gives the plain network. Above it all thresholds rest on the first ``options.samples`` samples alone,
    as networks are calibrated again and again.
    """
    assert options.budget is not None
    held = first_batches(stream, options.samples)
    some = list(first_samples(held, options.samples))
    measure = Measure(graph, some, options, device)

    def calibrated(data: Iterable[tuple[Any, ...]], spikes: Mapping[str, int]) -> tuple[Graph, dict[str, SpikingReLU]]:
        with warnings.catch_warnings():
            if spikes:  # what deserves a look has been said of the plain network
                warnings.simplefilter("ignore", ConversionWarning)
            return calibrate(graph, data, options, device, progress, spikes)

    network = calibrated(some if options.budget > 1 else chain(held, stream), {})
    plain = best = measure.network(*network)
    given: Mapping[str, int] = {}
    if options.budget > 1:
        layers = sensitivity(
            graph, Measure(graph, list(first_samples(some, SAMPLES)), options, device), plain, progress
        )
    tries: list[dict[str, int]] = []
    scale = 1.0  # how many times the estimate the last network cost
    while options.budget > 1 and len(tries) < ROUNDS:
        spikes, estimate = spend(layers, (options.budget - 1) * plain.cost / scale, options.neurons.max_spikes)
        if not spikes or spikes in tries:
            break
        tries.append(spikes)
        tried = calibrated(some, spikes)
        outcome = measure.network(*tried)
        within = outcome.cost <= options.budget * plain.cost
        if progress is not None:
            progress(f"tried {outcome.cost / plain.cost:.2f} times the SynOps, for a budget of {options.budget:g}")
        if within and outcome.error < best.error:
            network, best, given = tried, outcome, spikes
        # Too dear: less must come next. Hardly dearer than the plain network: that is no leave to spend at will.
        scale = max((outcome.cost - plain.cost) / estimate, 0.1 if within else 1.05 * scale)
    shares = tuple(
        Share(n.where, given.get(n.name, options.neurons.max_spikes), best.spikes[n.name], plain.spikes[n.name])
        for n in graph.nodes
        if n.role == Role.SPIKE
    )
    numbers = (best.cost, plain.cost, best.error, plain.error)
    return *network, Allocation(options.budget, *numbers, measure.samples, shares)


def spend(layers: Mapping[str, Sequence[Level]], extra: float, start: int) -> tuple[dict[str, int], float]:
    """Most spikes a step of the layers that get more, and what that costs: what gains most for its price comes first.

    Args:
        layers: Each as it is and after each doubling, by node name.
        extra: Synaptic operations to spend.
        start: Most spikes a step of the plain network.
    """
    taken = dict.fromkeys(layers, 0)
    spent = 0.0
    while True:
        steps = []
        for name, k in taken.items():
            if k + 1 < len(layers[name]):
                now, then = layers[name][k : k + 2]
                price = max(then.cost - now.cost, 1e-9 * extra, 1e-12)
                if then.error < now.error and spent + price <= extra:
                    steps.append(((now.error - then.error) / price, name, price))
        if not steps:
            return {name: start * 2**k for name, k in taken.items() if k}, spent
        _, name, price = max(steps)
        taken[name] += 1
        spent += price
