"""How wrong a network's output is and what it costs, on calibration samples: no labels, no decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..calibrate.options import Options
from ..count.event_counter import EventCounter
from ..count.fan_out import fan_out
from ..data import BATCH_SIZE, rows, tensors_of
from ..graph import Graph
from ..graph.rules import Role
from ..memory import calibration_budget
from ..run.modes import Analog
from ..run.neurons import SpikingReLU
from ..run.plan import Plan
from ..run.schedules import mode_of
from ..run.timed import Timed
from ..run.walk import Walk


@dataclass(frozen=True)
class Outcome:
    """What a network did.

    Attributes:
        error: Mean squared error of the output before any head, in units of the ANN's variance.
        spikes: Events of each layer and each maximum, per sample, by node name.
        synops: The synaptic operations that they caused.
    """

    error: float
    spikes: Mapping[str, float]
    synops: Mapping[str, float]

    @property
    def cost(self) -> float:
        """All synaptic operations."""
        return sum(self.synops.values())


class Measure:
    """Holds networks made from a graph against it.

    Args:
        graph: With roles set; not changed.
        batches: Of arguments.
        options: T and schedule.
        device: The network's.

    Attributes:
        samples: How many there are.
    """

    def __init__(self, graph: Graph, batches: list[tuple[Any, ...]], options: Options, device: torch.device) -> None:
        self.graph, self.options, self.device = graph, options, device
        self.work = fan_out(graph, graph.tensors)
        most = calibration_budget(device) // (4 * Plan(graph).peak * options.timesteps)
        self.parts = [part for args in batches for part in _parts(args, max(1, min(BATCH_SIZE, most)))]
        self.samples = sum(map(rows, self.parts))
        self.wanted = [self._run(graph, args, Analog()) for args in self.parts]
        outputs = zip(*self.wanted, strict=True)
        self.variances = [torch.cat(o).double().var(correction=0).clamp(min=1e-12) for o in outputs]

    def network(self, graph: Graph, neurons: dict[str, SpikingReLU]) -> Outcome:
        """What a calibrated network does."""
        options = self.options
        counter = EventCounter(self.work, options.timesteps)

        def begin() -> Any:
            counter.begin_batch()
            mode = mode_of(options.schedule, options.delay, neurons, counter)
            next(mode.runs(options.timesteps, options.timesteps, only_last=True))
            return mode

        error = self._error(graph, begin)
        spikes, synops = (
            {name: float(steps.sum()) / self.samples for name, steps in counts.items()}
            for counts in (counter.spikes, counter.synops)
        )
        return Outcome(error, spikes, synops)

    def analog(self, mode: Analog) -> float:
        """The error of the graph run in another mode without time."""
        return self._error(self.graph, lambda: mode)

    def _error(self, graph: Graph, begin: Callable[[], Any]) -> float:
        squares, count = 0.0, 0
        for args, wanted in zip(self.parts, self.wanted, strict=True):
            found = self._run(graph, args, begin())
            for a, b, variance in zip(found, wanted, self.variances, strict=True):
                squares += float((a.double() - b.double()).square().sum() / variance)
                count += b.numel()
        return squares / max(count, 1)

    @torch.no_grad()
    def _run(self, graph: Graph, args: tuple[Any, ...], mode: Any) -> list[Tensor]:
        """What outputs and head read, decoded."""
        read = {*graph.output_names(), *(name for n in graph.nodes if n.role == Role.HEAD for name in n.refs)}
        body = [n for n in graph.nodes if n.role != Role.HEAD]
        release = Plan(graph).last_use_of_all
        walk = Walk(graph, graph.tensors, tensors_of(args, graph, self.device))
        walk.run(body, mode, {k: [name for name in names if name not in read] for k, names in release.items()})
        found = []
        for node in body:
            value = walk.env[node.name] if node.name in read else None
            value = mode.decode(node.name, value).values[-1] if isinstance(value, Timed) else value
            if isinstance(value, Tensor) and value.is_floating_point():
                found.append(value)
        return found


def _parts(args: tuple[Any, ...], size: int) -> Iterator[tuple[Any, ...]]:
    """A batch in batches of a size that fits."""

    def part(start: int) -> tuple[Any, ...]:
        cut = slice(start, start + size)
        return pytree.tree_map(lambda x: x[cut] if isinstance(x, Tensor) and x.dim() else x, args)  # type: ignore[no-any-return]

    return (part(start) for start in range(0, rows(args), size))
