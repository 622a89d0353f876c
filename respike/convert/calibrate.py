"""Choose thresholds and corrections, without labels and without training.

Two passes. The first streams all batches through the ANN for the statistics that ``max`` and
``percentile`` need. The second takes as many samples as ``Options.samples`` and the memory allow through
ANN and SNN side by side, node by node: when a ReLU is reached, the layers before it are converted
already, so its threshold and correction are chosen for the currents that really arrive.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from .data import tensors_of
from .errors import ConversionError, ConversionWarning
from .execute import Timed, Walk
from .graph import Graph, Node
from .modes import Analog, Layerwise, Synchronous
from .neurons import NeuronOptions, SpikingReLU, channel_axis
from .passes import correct_readouts, readouts
from .plan import Plan
from .rules import Role
from .statistics import Maximum, Percentile, Statistic, per_channel
from .thresholds import best_threshold

MEMORY = 2 * 2**30
"""Bytes that the samples of the second pass may take, about."""
SAMPLED = 4096
"""Positions per channel on which thresholds are tried out, about."""


@dataclass(frozen=True)
class Options:
    """How to convert; the names are those of ``respike.from_torch`` and of the command line.

    Raises:
        ConversionError: a value out of range.
    """

    timesteps: int = 16
    threshold: Literal["mse", "max", "percentile"] = "mse"
    percentile: float = 99.9
    granularity: Literal["channel", "layer"] = "channel"
    schedule: Literal["synchronous", "layerwise"] = "synchronous"
    correction: Literal["none", "bias"] = "bias"
    seed: int = 0
    samples: int = 512
    neurons: NeuronOptions = field(default_factory=NeuronOptions)

    def __post_init__(self) -> None:
        choices = {
            "threshold": ("mse", "max", "percentile"),
            "granularity": ("channel", "layer"),
            "schedule": ("synchronous", "layerwise"),
            "correction": ("none", "bias"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConversionError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if self.timesteps < 1:
            raise ConversionError(f"timesteps must be 1 or more, got {self.timesteps}")
        if not 0 < self.percentile <= 100:
            raise ConversionError(f"percentile must be above 0 and at most 100, got {self.percentile}")
        if self.samples < 1:
            raise ConversionError(f"samples must be 1 or more, got {self.samples}")


def calibrate(
    graph: Graph,
    data: Iterable[tuple[Any, ...]],
    options: Options,
    device: torch.device,
    progress: Callable[[str], None] | None = None,
) -> tuple[Graph, dict[str, SpikingReLU]]:
    """One calibrated layer of neurons for each ReLU, by node name, and the graph with its readouts corrected.

    Raises:
        ConversionError: no data, or activations that are not finite.
    """
    relus = [n for n in graph.nodes if n.role == Role.SPIKE]
    neurons = {n.name: SpikingReLU(n, options.neurons, channel_axis(n, graph)).to(device) for n in relus}
    plan = Plan(graph)
    streamed = options.threshold != "mse"
    statistics: dict[str, Statistic] = {}
    if streamed:
        make: Callable[[], Statistic] = (
            Maximum if options.threshold == "max" else lambda: Percentile(options.percentile)
        )
        statistics = {n.name: make() for n in relus}
    chosen: list[tuple[Any, ...]] = []
    room = min(options.samples, max(1, MEMORY // (4 * plan.peak * (options.timesteps + 1))))
    for number, args in enumerate(data, 1):
        if room:
            chosen.append(_first_rows(args, room))
            room -= len(tensors_of(chosen[-1], device)[0])
        if streamed:
            _observe(graph, plan, tensors_of(args, device), neurons, statistics)
            if progress is not None:
                progress(f"statistics of batch {number}")
        elif not room:
            break
    for node in relus if streamed else ():
        _set(neurons[node.name], statistics[node.name].result() / options.neurons.max_spikes, options)
    if options.threshold == "mse" or options.correction != "none":
        missing = _Sequential(graph, plan, neurons, options, device, progress).run(chosen)
        graph = correct_readouts(graph, missing)
    return graph, neurons


def _first_rows(args: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    from torch.utils import _pytree as pytree

    return pytree.tree_map(lambda x: x[:count] if isinstance(x, Tensor) and x.dim() else x, args)  # type: ignore[no-any-return]


@torch.no_grad()
def _observe(
    graph: Graph, plan: Plan, inputs: list[Tensor], neurons: dict[str, SpikingReLU], statistics: dict[str, Statistic]
) -> None:
    walk = Walk(graph, graph.tensors, inputs)
    for node in graph.nodes:
        if node.role == Role.HEAD:
            continue
        walk.run([node], Analog(), plan.last_use_of_all)
        if node.name in statistics:
            values = walk.env.get(node.name)
            assert isinstance(values, Tensor)
            _require_finite(values, neurons[node.name])
            statistics[node.name].update(per_channel(values, neurons[node.name].axis))


def _require_finite(values: Tensor, neuron: SpikingReLU) -> None:
    if not bool(torch.isfinite(values).all()):
        raise ConversionError(
            f"{neuron.where}: the ANN's activations are not finite on the calibration data; "
            "look for NaN or infinite values in the inputs and the weights"
        )


def _set(neuron: SpikingReLU, values: Tensor, options: Options) -> None:
    """Set thresholds; channels that never fire take the layer's median, so that they still can."""
    if options.granularity == "layer" or not neuron.threshold.dim():
        values = values.max().reshape(1)
    alive = values > 0
    if not bool(alive.any()):
        warnings.warn(
            f"{neuron.where} never fires on the calibration data; its threshold is set to 1",
            ConversionWarning,
            stacklevel=4,
        )
        values = torch.ones_like(values)
    else:
        values = torch.where(alive, values, values[alive].median())
    neuron.set_threshold(values)


class _Sequential:
    """The second pass: ANN and SNN side by side, node by node, over all chosen samples."""

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        neurons: dict[str, SpikingReLU],
        options: Options,
        device: torch.device,
        progress: Callable[[str], None] | None,
    ) -> None:
        self.graph, self.plan, self.neurons = graph, plan, neurons
        self.options, self.device, self.progress = options, device, progress
        self.generator = torch.Generator().manual_seed(options.seed)

    @torch.no_grad()
    def run(self, data: list[tuple[Any, ...]]) -> dict[str, Tensor]:
        """Calibrate all layers; the missing mean of each readout, ``(1, C, ...)``, by node name."""
        pairs = [self._pair(tensors_of(args, self.device)) for args in data]
        total = len(self.neurons)
        done = 0
        for node in self.graph.nodes:
            if node.role == Role.HEAD:
                continue
            if node.role == Role.SPIKE:
                done += 1
                self._calibrate(node, [(a.env[node.refs[0]], s.env[node.refs[0]]) for a, s, _ in pairs])
                if self.progress is not None:
                    self.progress(f"calibrating layer {done} of {total}")
            for ann, snn, mode in pairs:
                ann.run([node], Analog(), self.plan.last_use_of_all)
                snn.run([node], mode, self.plan.last_use_of_all)
        if self.options.correction == "none":
            return {}
        return {name: self._missing(name, pairs) for name in readouts(self.graph)}

    def _missing(self, name: str, pairs: list[tuple[Walk, Walk, Any]]) -> Tensor:
        node = self.graph.node(name)
        assert node is not None
        differences = [a.env[name] - _mean(s.env[name]) for a, s, _ in pairs]
        axis = channel_axis(node, self.graph)
        others = [i for i in range(differences[0].dim()) if i != axis]
        return torch.cat(differences).mean(others, keepdim=True)

    def _pair(self, inputs: list[Tensor]) -> tuple[Walk, Walk, Synchronous | Layerwise]:
        mode: Synchronous | Layerwise
        if self.options.schedule == "synchronous":
            mode = Synchronous(self.neurons)
            mode.begin(self.options.timesteps)
        else:
            mode = Layerwise(self.neurons)
            mode.begin(torch.tensor([self.options.timesteps]))
        return Walk(self.graph, self.graph.tensors, inputs), Walk(self.graph, self.graph.tensors, inputs), mode

    def _calibrate(self, node: Node, values: list[tuple[Tensor, Any]]) -> None:
        """Set bias and threshold of one layer from the ANN's and the SNN's currents."""
        neuron = self.neurons[node.name]
        for z, _ in values:
            _require_finite(z, neuron)
        if self.options.correction == "bias":
            neuron.bias = neuron.spread(self._offset(values, neuron.axis)).to(neuron.bias)
        if self.options.threshold == "mse":
            currents, target = self._sample(node, values, neuron)
            _set(neuron, best_threshold(currents, target, neuron, self.options), self.options)

    def _offset(self, values: list[tuple[Tensor, Any]], axis: int) -> Tensor:
        """The current that is missing on average, per channel, over the positions where it matters.

        Those are the positions where the ANN's ReLU is active or the SNN's would be: elsewhere a
        difference changes nothing, and counting it would shift the rest for nothing.
        """
        total = count = torch.zeros((), dtype=torch.float64)
        for z, current in values:
            wanted, given = per_channel(z, axis), per_channel(_mean(current), axis)
            matters = (wanted > 0) | (given > 0)
            total = total + ((wanted - given) * matters).sum(0, dtype=torch.float64)
            count = count + matters.sum(0, dtype=torch.float64)
        return (total / count.clamp(min=1)).float()

    def _sample(self, node: Node, values: list[tuple[Tensor, Any]], neuron: SpikingReLU) -> tuple[Tensor, Tensor]:
        """Currents ``(T, S, C)`` and targets ``(S, C)`` at up to ``SAMPLED`` random positions per channel."""
        currents, targets = [], []
        available = sum(z[:, 0].numel() if z.dim() > 1 else z.numel() for z, _ in values)
        for z, current in values:
            target = per_channel(torch.clamp(z, min=0, max=neuron.cap), neuron.axis)
            steps = current.values if isinstance(current, Timed) else current.unsqueeze(0)
            flat = steps.movedim(neuron.axis + 1, -1).flatten(1, -2)
            keep = torch.rand(len(target), generator=self.generator) < SAMPLED / max(available, 1)
            index = keep.nonzero().flatten().to(z.device) if available > SAMPLED else slice(None)
            targets.append(target[index])
            currents.append(flat[:, index])
        return torch.cat(currents, 1), torch.cat(targets)


def _mean(value: Any) -> Tensor:
    """Mean over time."""
    found: Tensor = value.values.mean(0) if isinstance(value, Timed) else value
    return found
