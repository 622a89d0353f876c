"""The layers that are calibrated, as a checkpoint keeps them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..graph import Graph
from ..run.neurons import SpikingReLU
from .checkpoint import Checkpoint

LAYERS = "layers"
"""The name under which a checkpoint keeps them."""
PARTS = ("threshold", "bias", "start", "largest")
"""What calibration sets of neurons."""


class FinishedLayers:
    """Notes what calibration has brought so far, and puts it back.

    Args:
        graph: Whose weights ridge repair replaces; of those only the ones that have changed are noted.
        neurons: By node name.
        generator: The random numbers of calibration.
        kept: Where it is noted.
    """

    def __init__(
        self, graph: Graph, neurons: Mapping[str, SpikingReLU], generator: torch.Generator, kept: Checkpoint
    ) -> None:
        self.graph, self.neurons, self.generator, self.kept = graph, neurons, generator, kept
        self.before = dict(graph.tensors)

    def note(self, stops: list[str], missing: Mapping[str, Tensor]) -> None:
        """Note these stops, by the names of their nodes, and the missing means of readouts among them."""
        done = [name for name in stops if name in self.neurons]
        changed = {name: x for name, x in self.graph.tensors.items() if x is not self.before.get(name)}
        tensors = {"generator": self.generator.get_state()}
        tensors |= {f"neurons/{name}/{part}": getattr(self.neurons[name], part) for name in done for part in PARTS}
        tensors |= {f"weights/{name}": x for name, x in changed.items()}
        tensors |= {f"missing/{name}": x for name, x in missing.items()}
        self.kept.note(LAYERS, len(stops), tensors, True)

    def restored(self, timesteps: int) -> tuple[dict[str, Tensor], int]:
        """The missing means that were noted, and how many stops are done; neurons and weights are put back.

        Args:
            timesteps: T.
        """
        noted = self.kept.of(LAYERS)
        if noted is None:
            return {}, 0
        stops, tensors = noted
        missing: dict[str, Tensor] = {}
        self.generator.set_state(tensors.pop("generator"))
        for key, values in tensors.items():
            kind, _, name = key.partition("/")
            if kind == "neurons":
                name, _, part = name.rpartition("/")
                neuron = self.neurons[name]
                neuron.timesteps = timesteps
                setattr(neuron, part, values.to(neuron.threshold.device))
            elif kind == "weights":
                self.graph.tensors[name] = values.to(self.before[name].device)
            else:
                missing[name] = values.to(next(iter(self.neurons.values())).threshold.device)
        return missing, int(stops)
