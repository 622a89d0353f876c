"""The schedule between synchronous and layerwise: each layer lets those that feed it run ahead by a few steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

import torch
from torch import Tensor

from ....layers.kernels import Drive
from ...graph import Node
from ..arithmetic import Arithmetic
from ..graph_walk import Value
from ..neurons import SpikingReLU
from ..recording import Recorder
from ..time_varying import Timed
from .synchronous import Synchronous


def move_ahead(currents: Tensor, delay: int) -> Tensor:
    """The currents of T steps as a layer meets them that starts ``delay`` steps after the layers that feed it.

    Before its first possible spike it has got those of the steps 1 to ``delay`` + 1, in its step s it gets that of
    s + ``delay``, and none when its sources are done: I'_1 = I_1 + ... + I_(delay + 1), I'_s = I_(s + delay). The
    sum over time stays. What has come before the first step has not leaked; but a leaky membrane that holds more
    then loses more than leak compensation gives back, so that with LIF a long delay is worse than a short one.

    Args:
        currents: ``(T, ...)``, not changed.
        delay: 0 or more; all from T − 1 on are the same.
    """
    ahead = min(delay, len(currents) - 1)
    if not ahead:
        return currents
    moved = torch.zeros_like(currents)
    for current in currents[: ahead + 1]:  # in order of time, as they come in a stream
        moved[0] += current
    moved[1 : len(currents) - ahead] = currents[ahead + 1 :]
    return moved


class Pipelined(Synchronous):
    """Each layer fires from ``delay`` steps after the layers that feed it on, for T steps.

    Its first spikes then rest on ``delay`` + 1 steps of input, not on one, and charge that comes late finds steps
    left to fire in: less unevenness, for a latency of T + ``delay`` · depth. All values keep the time of their own
    layer, 1 to T: where paths of different length meet, the spikes of the shorter one wait, so that step s of all
    sources arrives together. A layer that no other feeds has nothing to wait for and starts at once.

    A run of T steps is one block, and every T a run of its own: the first t steps of a longer run have got currents
    of later steps. So the time axis of what is decoded and recorded holds one entry, the run.

    Args:
        neurons: By node name.
        delay: Steps of head start for each layer; 0 is ``Synchronous``.
        recorder: Told of every layer's events, once for each run.
        arithmetic: As for ``Synchronous``.
        first: Names of the layers that the inputs alone feed.
    """

    def __init__(
        self,
        neurons: Mapping[str, SpikingReLU],
        delay: int,
        recorder: Recorder | None = None,
        arithmetic: Arithmetic | None = None,
        first: Set[str] = frozenset(),
    ) -> None:
        super().__init__(neurons, recorder, arithmetic)
        self.delay, self.first = delay, {neurons[name] for name in first}

    def begin(self, steps: int) -> None:
        """A run of ``steps`` timesteps from the beginning."""
        self.steps, self.elapsed = steps, 0
        self.state = dict(self.initial)

    def runs(self, total: int, length: int, only_last: bool) -> Iterator[int]:
        for steps in range(total if only_last else 1, total + 1):
            self.begin(steps)
            yield 1

    def decode(self, name: str, x: Value) -> Value:
        """Mean over the whole run."""
        return Timed(super().decode(name, x).values[-1:])

    def _drive(self, neuron: SpikingReLU, x: Value) -> Drive:
        if isinstance(x, Tensor) or neuron in self.first:
            return super()._drive(neuron, x)
        return Drive(move_ahead(x.real + neuron.bias, self.delay), self.steps)

    def tell(self, node: Node, events: Tensor, sent: Timed) -> None:
        super().tell(node, events.sum(0, keepdim=True), Timed(sent.real.mean(0, keepdim=True)))
