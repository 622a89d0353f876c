"""What the layers of a network send and hold, step by step, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..layers.kernels import Drive
from . import checks
from .errors import ConversionError
from .export.ways_out import WaysOut
from .graph import Node
from .graph.rules import Role
from .run.execution_plan import size_of
from .run.graph_walk import Value
from .run.join_estimates import batch_first, in_time
from .run.moving_inputs import steps_of
from .run.neurons import SpikingReLU
from .variants.recalibrate import named

GIB = 2**30


class Recording(NamedTuple):
    """A run, and what its layers did.

    Attributes:
        output: The estimate after each step, as ``simulate`` gives it.
        spikes: By the name of the module, of a ReLU that is none by the node's, ``(N, T, ...)``: how many spikes each
            neuron sent in each step; those that take some back are negative, and fractions of one are spikes of a
            smaller weight.
        potentials: Likewise, ``(N, T, ...)``: the membrane after each step, in the units of its threshold, so that a
            neuron fires at 1; empty if they were not asked for.
    """

    output: Any
    spikes: dict[str, Tensor]
    potentials: dict[str, Tensor]


class Recorded(WaysOut):
    """A network whose hidden spikes can be looked at."""

    def record(
        self,
        *args: Any,
        layers: str | Sequence[str] | None = None,
        timesteps: int | None = None,
        potentials: bool = False,
        memory: int = GIB,
    ) -> Recording:
        """Run the network as ``simulate`` does, and keep what its layers send.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> seen = snn.record(torch.rand(5, 4), potentials=True)
        >>> {name: spikes.shape for name, spikes in seen.spikes.items()}
        {'1': torch.Size([5, 8, 8])}

        Args:
            *args: Inputs, as for ``simulate``.
            layers: Their names, as ``summary`` shows them or the module's path alone; None: all.
            timesteps: As for ``simulate``.
            potentials: Whether to keep membrane potentials too.
            memory: Bytes that what is kept may take.

        Raises:
            ConversionError: another schedule than ``synchronous``, an unknown layer, or more than ``memory``.
        """
        checks.flag("potentials", potentials)
        memory = checks.whole("memory", memory, 1)
        if self.schedule != "synchronous":
            raise ConversionError(
                f"layers of a {self.schedule} network have no common clock; set snn.schedule = 'synchronous' to record"
            )
        inputs = self.graph.flatten(args)
        steps = steps_of(self.graph, inputs, timesteps, self.timesteps)
        wanted = {*self.neurons} if layers is None else named(self, checks.names("layers", layers))
        seen = _Seen(self.layers(), _places(self.graph.nodes), frozenset(wanted), potentials)
        batch = max((len(x) for x in inputs if x.dim()), default=1)
        needed = 4 * batch * steps * sum(size_of(self.graph.shape(name)) for name in wanted) * (1 + potentials)
        if needed > memory:
            raise ConversionError(
                f"these recordings take {needed:,} bytes, and memory= allows {memory:,}: name fewer layers, or give "
                "fewer samples or timesteps"
            )
        blocks = list(self.blocks(inputs, timesteps=steps, recorder=seen.sent, watch=seen.currents))
        output = pytree.tree_unflatten(batch_first(self.graph, in_time(blocks)), self.graph.out_spec)
        return Recording(output, seen.by_layer(seen.spikes), seen.by_layer(seen.potentials))


class _Seen:
    """Is told what layers get and send, block by block.

    Args:
        neurons: By node name.
        places: Their names in the user's model, likewise.
        wanted: Of which layers to keep it.
        potentials: Whether to run the neurons once more, for what they hold.
    """

    def __init__(
        self, neurons: dict[str, SpikingReLU], places: dict[str, str], wanted: frozenset[str], potentials: bool
    ) -> None:
        self.neurons, self.places, self.wanted, self.also = neurons, places, wanted, potentials
        self.spikes: dict[str, list[Tensor]] = {}
        self.potentials: dict[str, list[Tensor]] = {}
        self.given: dict[str, Value] = {}
        self.states: dict[str, tuple[Tensor, ...] | None] = {}

    def currents(self, node: Node, current: Value) -> None:
        """See ``recording.Watch``."""
        if self.also and node.name in self.wanted:
            self.given[node.name] = current

    def sent(self, node: Node, events: Tensor, values: Tensor) -> None:
        """See ``recording.Recorder``."""
        if node.name not in self.wanted:
            return
        neuron = self.neurons[node.name]
        finest = neuron.options.finest
        self.spikes.setdefault(node.name, []).append((values / neuron.threshold / finest).round_() * finest)
        if self.also:
            self.potentials.setdefault(node.name, []).append(self._held(node.name, neuron, len(events)))

    def _held(self, name: str, neuron: SpikingReLU, steps: int) -> Tensor:
        given, state, found = self.given.pop(name), self.states.get(name), []
        for current in [given] * steps if isinstance(given, Tensor) else given.real.unbind(0):
            _, state = neuron.run(Drive(current.unsqueeze(0), 1, bias=neuron.bias), state)
            found.append(state[0] / neuron.threshold)
        self.states[name] = state
        return torch.stack(found)

    def by_layer(self, kept: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        """Time behind the samples, by the modules' names as ``to_module`` has them."""
        return {self.places[name]: torch.cat(parts).transpose(0, 1) for name, parts in kept.items()}


def _places(nodes: Sequence[Node]) -> dict[str, str]:
    """The layers' names in the user's model: the module's, and of a ReLU that is none the node's; each once."""
    found: dict[str, str] = {}
    paths = {node.path for node in nodes}
    for node in nodes:
        if node.role == Role.SPIKE:
            block = not node.path or any(path.startswith(f"{node.path}.") for path in paths)
            name = ".".join(filter(None, (node.path, node.name if block else "")))
            target, k = name, 0
            while target in found.values():
                target, k = f"{name}_{k + 1}", k + 1
            found[node.name] = target
    return found
