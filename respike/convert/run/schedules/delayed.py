"""A pipelined run that goes on from call to call, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ....layers.kernels import Drive
from ...graph import Node, map_leaves
from ...graph.rules import Role
from ..execution_plan import Plan
from ..graph_walk import Value
from ..neurons import SpikingReLU
from ..time_varying import DeferredFiring, Timed, column, real
from .streaming import Streaming


class Delayed(Streaming):
    """``Pipelined`` for streams: each value of step s comes when it can, so many steps late as layers have waited.

    A layer that others feed adds up what comes in its first ``delay`` steps and fires from the next on. Where paths of
    different length meet, the values of the shorter one wait in a queue. All outputs are estimated of the same steps.
    A value of a sample that has not come yet counts as none: potentials, sums and the time stay.

    Args:
        neurons: By node name.
        plan: Of the network.
        delay: Steps of head start for each layer.
        window: As for ``Streaming``.
        forgetting: As for ``Streaming``.

    Attributes:
        latency: Steps from a frame to the estimate that counts it.
        ended: Steps that had passed when the input ended; None: it goes on.
    """

    def __init__(
        self,
        neurons: Mapping[str, SpikingReLU],
        plan: Plan,
        delay: int,
        window: int | None = None,
        forgetting: float | None = None,
    ) -> None:
        super().__init__(neurons, window, forgetting)
        self.ended: int | None = None
        self.waits: set[str] = set()
        self.given: dict[str, int] = {}  # by node: how late that comes which it reads
        self.late: dict[str, int] = dict.fromkeys(plan.graph.varying, 0)  # by value
        for node in plan.body:
            timed = [self.late[name] for name in node.refs if name in self.late]
            self.given[node.name] = max(timed, default=0)
            if node.role == Role.SPIKE and timed and node.name not in plan.first:
                self.waits.add(node.name)
            self.late[node.name] = self.given[node.name] + delay * (node.name in self.waits)
        self.latency = max((self.late[name] for name in plan.estimated), default=0)
        self._behind = 0  # how late that comes which is computed now
        self._queued: dict[str, Timed] = {}

    def begin(self, steps: int) -> None:
        super().begin(steps)
        self._queued = {}

    def arriving(self, node: Node, name: str, x: Value) -> Value:
        return self._in_time(name, x, self.given.get(node.name, 0) - self.late.get(name, 0))

    def _in_time(self, name: str, x: Value, steps: int) -> Value:
        """What a value was so many steps ago; nothing before the first."""
        if not isinstance(x, Timed) or name not in self.late or steps <= 0:
            return x
        key = f"{name}:{steps} steps ago"
        if key not in self._queued:
            value = x.values[0]
            queue = self.state.get(key, (torch.zeros_like(value),) * steps)
            self._queued[key] = x.like(queue[0].unsqueeze(0))
            self.state[key] = (*queue[1:], value.clone())
        return self._queued[key]

    def spike(self, node: Node, x: Value) -> Value:
        self._behind = self.given[node.name]
        neuron, waiting = self.neurons[node.name], node.name in self.waits
        before = self.state.get(node.name)
        if not waiting:
            found, fires = super().spike(node, x), self._here(x)
        else:
            arrived, key = self._here(x), f"{node.name}:waiting"
            current = x.real[0] + neuron.bias
            current = current if arrived is None else torch.where(_wide(arrived, current), current, 0)
            total = self.state.get(key, torch.zeros_like(current)) + current
            self._behind = self.late[node.name]
            fires = self._here(x)
            send, carried = self._send(neuron)
            sent, self.state[node.name] = neuron.run(Drive(total.unsqueeze(0), 1), before, send)
            found = Timed(sent, carried)
            self.state[key] = torch.zeros_like(total) if fires is None else torch.where(_wide(fires, total), 0, total)
        if fires is None:
            return found
        state = self.state[node.name]
        rest = before or tuple(part.expand_as(new) for part, new in zip(neuron.rest, state, strict=True))
        self.state[node.name] = tuple(
            torch.where(_wide(fires, new), new, old.to(new.dtype)) for new, old in zip(state, rest, strict=True)
        )
        return found.like(torch.where(_wide(fires, found.values[0]), found.values, 0))

    def nonlinear(self, node: Node, apply: Callable[..., Value], args: list[Any], kwargs: dict[str, Any]) -> Value:
        if isinstance(args[0], DeferredFiring):
            args = [self.spike(args[0].node, args[0].current), *args[1:]]
        self._behind = self.given[node.name]

        def come(a: Any) -> Any:
            here = self._here(a) if isinstance(a, Timed) else None
            if here is None:
                return a
            a = a if a.offset is None else real(a)
            return a.like(torch.where(_wide(here, a.values[0]), a.values, 0))

        return super().nonlinear(node, apply, map_leaves(come, args), map_leaves(come, kwargs))

    def decode(self, name: str, x: Value) -> Value:
        x = self._in_time(name, x, self.latency - self.late[name])
        self._behind = self.latency
        here = self._here(x)
        if here is not None:
            x = x.like(torch.where(_wide(here, x.values[0]), x.values, 0))
        return super().decode(name, x)

    def _here(self, like: Value) -> Tensor | None:
        """Which samples a value has come of in this step, ``(N, 1, ...)`` or for all ``(1,)``; None: all."""
        step = self.elapsed + 1 - self._behind
        if self.ended is not None and step > self.ended:
            return torch.zeros(1, dtype=torch.bool, device=_device(like))
        if self.begun is None:
            return None if step > 0 else torch.zeros(1, dtype=torch.bool, device=_device(like))
        return None if step > int(self.begun.max()) else step > self.begun

    def _clock(self, like: Tensor) -> Tensor:
        """Steps so far of what is computed now."""
        step = self.elapsed + 1 - self._behind
        passed = torch.tensor([step if self.ended is None else min(step, self.ended)], device=like.device)
        return self._own_time(passed, like).clamp(min=0)


def _device(value: Value) -> torch.device:
    first = value if isinstance(value, Tensor) else value.values if isinstance(value, Timed) else value.first.values
    found: torch.device = first.device
    return found


def _wide(mask: Tensor, like: Tensor) -> Tensor:
    """A mask ``(N,)`` laid out for a value ``(N · each, ...)``."""
    return column(mask.repeat_interleave(max(len(like) // len(mask), 1)), like)
