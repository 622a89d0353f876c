"""The second pass of calibration: ANN and SNN side by side."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

import torch
from torch import Tensor

from .data import tensors_of
from .execute import Walk
from .graph import Graph, Node
from .modes import Analog, Layerwise, Synchronous
from .neurons import SpikingReLU, channel_axis
from .offsets import choose_start, start_early, sweep_bias
from .options import Options
from .passes import readouts
from .plan import Plan
from .ridge import HELD_BACK, POSITIONS, System, ends, mend, response
from .rules import Role
from .schedules import mode_of
from .statistics import per_channel
from .thresholds import best_threshold, require_finite, set_thresholds
from .timed import Timed, summed

SAMPLED = 4096
"""Positions per channel on which thresholds are tried out, about."""


class Sequential:
    """The second pass: ANN and SNN side by side, node by node, over all chosen samples.

    Args:
        graph: With roles; ridge repair puts other weights in the place of its own.
        plan: Of the graph.
        neurons: By node name; they are set.
        options: How to convert.
        device: The network's.
        progress: Called with a line of text for each layer.
        ann: The graph with the ANN's weights, if ``graph`` has others already.
        only: Names of the layers to calibrate; the others run as they are. None: all.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        neurons: dict[str, SpikingReLU],
        options: Options,
        device: torch.device,
        progress: Callable[[str], None] | None,
        ann: Graph | None = None,
        only: Set[str] | None = None,
    ) -> None:
        self.graph, self.plan, self.neurons = graph, plan, neurons
        self.ann, self.only = ann or graph, neurons.keys() if only is None else only
        self.options, self.device, self.progress = options, device, progress
        self.generator = torch.Generator().manual_seed(options.seed)
        # The layers that can mend each current, and what the SNN feeds them until that current is there.
        self.ends = ends(graph) if options.correction == "ridge" else {}
        if only is not None:
            between = {node.name for name in only for node in plan.before(name)}
            self.ends = {name: end for name, end in self.ends.items() if name in between}
        self.mending = {layer.name for end in self.ends.values() for layer in end.layers}
        self.fed: dict[str, list[Any]] = {}

    @torch.no_grad()
    def run(self, data: list[tuple[Any, ...]]) -> dict[str, Tensor]:
        """Calibrate all layers; the missing mean of each readout, ``(1, C, ...)``, by node name."""
        pairs = [self._pair(tensors_of(args, self.graph, self.device)) for args in data]
        total = len(self.only)
        done = 0
        for node in self.graph.nodes:
            if node.role == Role.HEAD:
                continue
            if node.name in self.only:
                done += 1
                if node.refs[0] in self.ends and self.ends[node.refs[0]].rectified:
                    self._repair(node.refs[0], pairs, self.neurons[node.name])
                self._calibrate(node, [(a.env[node.refs[0]], s.env[node.refs[0]]) for a, s, _ in pairs])
                if self.progress is not None:
                    self.progress(f"calibrating layer {done} of {total}")
            if node.name in self.mending:
                self.fed[node.name] = [s.env[node.refs[0]] for _, s, _ in pairs]
            for ann, snn, mode in pairs:
                ann.run([node], Analog(), self.plan.last_use_of_all)
                snn.run([node], mode, self.plan.last_use_of_all)
            if node.name in self.ends and not self.ends[node.name].rectified:
                self._repair(node.name, pairs, None)
        if self.options.correction == "none":
            return {}
        return {name: self._missing(name, pairs) for name in readouts(self.graph)}

    def _repair(self, current: str, pairs: list[tuple[Walk, Walk, Any]], neuron: SpikingReLU | None) -> None:
        """Mend a current by the weights of the layers that give it, in the graph and in what is under way."""
        end = self.graph.node(current)
        assert end is not None
        axis = channel_axis(end, self.graph)
        total = sum(a.env[current].numel() // a.env[current].shape[axis] for a, _, _ in pairs)
        for layer in self.ends[current].layers:
            fed = self.fed.pop(layer.name)
            if not all(isinstance(x, Timed) for x in fed):
                continue  # what feeds it is exact
            weight = self.graph.tensors[layer.args[1].name]
            system = System(layer, weight, axis, min(1.0, POSITIONS / total), self.generator)
            for x, (a, s, _) in zip(fed, pairs, strict=True):
                system.add(x.values, a.env[current], s.env[current].values)
            change, bias = system.solve(neuron is not None, neuron.cap if neuron is not None else None)
            # That of neurons and readouts is chosen anew afterwards, on the currents that the new weights give.
            constant = None if neuron is not None or current in readouts(self.graph) else bias
            mend(layer, self.graph, change, constant)
            for x, (_, s, _) in zip(fed, pairs, strict=True):
                s.env[current] = Timed(response(layer, x.values, change, constant).add_(s.env[current].values))

    def _missing(self, name: str, pairs: list[tuple[Walk, Walk, Any]]) -> Tensor:
        node = self.graph.node(name)
        assert node is not None
        differences = [a.env[name] - _mean(s.env[name]) for a, s, _ in pairs]
        axis = channel_axis(node, self.graph)
        others = [i for i in range(differences[0].dim()) if i != axis or i == 0]
        return torch.cat(differences).mean(others, keepdim=True)

    def _pair(self, inputs: list[Tensor]) -> tuple[Walk, Walk, Synchronous | Layerwise]:
        mode = mode_of(self.options.schedule, self.options.delay, self.neurons)
        next(mode.runs(self.options.timesteps, self.options.timesteps, only_last=True))  # begin the run with T steps
        return Walk(self.ann, self.ann.tensors, inputs), Walk(self.graph, self.graph.tensors, inputs), mode

    def _calibrate(self, node: Node, values: list[tuple[Tensor, Any]]) -> None:
        """Set bias and threshold of one layer from the ANN's and the SNN's currents."""
        neuron = self.neurons[node.name]
        for z, _ in values:
            require_finite(z, neuron)
        if self.options.correction != "none":
            neuron.bias = neuron.spread(self._offset(values, neuron.axis)).to(neuron.bias)
        if self.options.threshold == "mse":
            currents, target, held = self._sample(values, neuron)
            set_thresholds(neuron, best_threshold(currents, target, neuron, self.options), self.options)
            if self.options.correction != "none":
                (choose_start if len(currents) > 1 else start_early)(currents, target, neuron, self.options)
                sweep_bias(currents, target, held, neuron, self.options)

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

    def _sample(self, values: list[tuple[Tensor, Any]], neuron: SpikingReLU) -> tuple[Tensor, Tensor, Tensor]:
        """Currents ``(T, S, C)`` and targets ``(S, C)`` at up to ``SAMPLED`` random positions per channel.

        And ``(S,)``, which of them belong to samples held back.
        """
        currents, targets, held = [], [], []
        available = sum(len(per_channel(z, neuron.axis)) for z, _ in values)
        seen = 0
        for z, current in values:
            target = per_channel(torch.clamp(z, min=0, max=neuron.cap), neuron.axis)
            steps = current.values if isinstance(current, Timed) else current.unsqueeze(0)
            keep = torch.rand(len(target), generator=self.generator) < SAMPLED / max(available, 1)
            index = keep.nonzero().flatten().to(z.device) if available > SAMPLED else slice(None)
            sample = seen + torch.arange(len(target), device=z.device) // (len(target) // len(z))
            seen += len(z)
            targets.append(target[index])
            currents.append(torch.stack([per_channel(step, neuron.axis)[index] for step in steps.unbind(0)]))
            held.append((sample % HELD_BACK == 0)[index])
        return torch.cat(currents, 1), torch.cat(targets), torch.cat(held)


def _mean(value: Any) -> Tensor:
    """Mean over time."""
    found: Tensor = summed(value.values, 0) / len(value.values) if isinstance(value, Timed) else value
    return found
