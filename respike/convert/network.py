"""The spiking network: a graph, its weights and its neurons, run over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .allocation import Allocation
from .choice import Choice
from .execute import Timed, Walk
from .fanout import FanOut, fan_out
from .graph import BATCH, Graph, Ref
from .modes import Layerwise, Recorder, Synchronous
from .neurons import SpikingReLU
from .options import Schedule
from .plan import Plan
from .schedules import latency, mode_of
from .summary import describe, table
from .weights import Weights


class SpikingNetwork(nn.Module):
    """What ``respike.from_torch`` returns: takes the ANN's inputs, gives estimates of the ANN's outputs.

    Calls do not depend on each other: the same input gives the same output twice. Only
    ``simulate(..., stream=True)`` goes on from where the last such call ended, until ``reset``.

    Args:
        graph: With roles set.
        neurons: One layer for each node of role ``spike``, by node name.
        timesteps: T that the network was calibrated for.
        schedule: ``"synchronous"``, ``"layerwise"`` or ``"pipelined"``.
        delay: Steps of head start for each layer of a pipelined network.

    Attributes:
        timesteps: T used by ``snn(x)`` and, unless given, by ``simulate``.
        memory_budget: Bytes that the values of one block of timesteps may take, about; smaller blocks are
            slower only when they leave too little work for one step. A pipelined run is one block, whatever it takes:
            smaller batches take less.
        choice: Why this T and this code, if they were left to ``timesteps="auto"``, else None.
        allocation: Which layers have more spikes a step, if there was a ``budget``, else None.
    """

    def __init__(
        self,
        graph: Graph,
        neurons: Mapping[str, SpikingReLU],
        timesteps: int,
        schedule: Schedule = "synchronous",
        delay: int = 1,
    ) -> None:
        super().__init__()
        self.weights = Weights(graph.tensors)
        # From here on the graph knows the weights by name and shape only.
        self.graph = replace(graph, tensors={k: v.to("meta") for k, v in graph.tensors.items()})
        self.neurons = nn.ModuleDict(dict(neurons))
        self.timesteps = timesteps
        self.schedule: Schedule = schedule
        self.delay = delay
        self.choice: Choice | None = None
        self.allocation: Allocation | None = None
        self.memory_budget = 64 * 2**20
        self.plan = Plan(self.graph)
        self._stream: Synchronous | None = None
        self._stream_batch = 0

    @property
    def depth(self) -> int:
        """Most spiking layers on a way from an input to an output."""
        return self.plan.depth

    @property
    def latency(self) -> int:
        """Timesteps until ``snn(x)`` has its answer.

        T; with ``layerwise`` T for each layer and the readout; with ``pipelined`` T and ``delay`` for each spiking
        layer on the longest way, except those whose current is constant.
        """
        return self.latency_at(self.timesteps)

    def latency_at(self, timesteps: int) -> int:
        """The latency of the estimate after so many steps, or so many steps per layer."""
        return latency(self.schedule, self.delay, self.plan, timesteps)

    @property
    def fan_out(self) -> FanOut:
        """Synapses behind each neuron, counted exactly, borders included."""
        return fan_out(self.graph, dict(self.weights.named_buffers()))

    def forward(self, *args: Any) -> Any:
        """The ANN's output, estimated from ``timesteps`` steps; same structure, shapes and units.

        Raises:
            ValueError: inputs of another number, structure or shape than the ANN's.
        """
        last = deque(self.blocks(*args, only_last=True), maxlen=1).pop()
        return self.output_at(last, -1)

    def simulate(self, *args: Any, timesteps: int | None = None, stream: bool = False) -> Any:
        """The decoded estimate after each step.

        Args:
            *args: Inputs as for the ANN, each ``(N, ...)``, held constant over time.
            timesteps: How many steps; ``self.timesteps`` by default.
            stream: Go on from the state that the last streaming call left, as one long simulation; the
                estimate is then the mean over all steps since ``reset``.

        Returns:
            For each of the ANN's outputs ``(N, T, ...)``, or ``(T, ...)`` where it does not begin with the
            batch; entry t − 1 is the estimate after t steps. With the schedules ``layerwise`` and ``pipelined``
            that is the result of a run of its own with t steps *per layer*, of the latency ``latency_at(t)``;
            pipelined all of them cost T · (T + 1) / 2 steps of work, ``snn(x)`` T.

        Raises:
            ValueError: inputs of another shape than the ANN's, ``timesteps`` below 1, or a stream
                whose batch size changes or whose schedule is not ``synchronous``.
        """
        blocks = list(self.blocks(*args, timesteps=timesteps, stream=stream))
        joined = [_join([b[i] for b in blocks]) for i in range(len(self.graph.outputs))]
        for i, output in enumerate(self.graph.outputs):
            shape = self.graph.shape(output.name) if isinstance(output, Ref) else None
            if shape and shape[0] is BATCH:
                joined[i] = joined[i].transpose(0, 1)
        return pytree.tree_unflatten(joined, self.graph.out_spec)

    def reset(self) -> None:
        """Forget the state of ``simulate(..., stream=True)``."""
        self._stream = None

    @torch.no_grad()
    def blocks(
        self,
        *args: Any,
        timesteps: int | None = None,
        stream: bool = False,
        only_last: bool = False,
        recorder: Recorder | None = None,
    ) -> Iterator[list[Any]]:
        """Run block after block of timesteps, sized to ``memory_budget``; pipelined, run after run.

        Args:
            *args: Inputs as for the ANN.
            timesteps: How many steps.
            stream: As in ``simulate``.
            only_last: The caller needs the estimate after the last step alone.
            recorder: Told of every layer's events, see ``modes.Recorder``.

        Yields:
            For each output of the graph the estimates ``(steps of the block, N, ...)``.
        """
        total = self.timesteps if timesteps is None else timesteps
        if not isinstance(total, int) or total < 1:
            raise ValueError(f"timesteps must be a whole number, 1 or more, got {total!r}")
        inputs = self._inputs(args)
        walk = Walk(self.graph, dict(self.weights.named_buffers()), inputs)
        batch = next((len(x) for x in inputs if x.dim()), 1)
        mode = self._mode(stream, batch, recorder)
        length = self.plan.block(max(batch, 1), total, self.memory_budget)
        walk.run(self.plan.static, mode)
        for estimates in mode.runs(total, length, only_last):
            walk.run(self.plan.timed, mode, self.plan.last_use)
            yield [_in_time(value, estimates) for value in walk.outputs(mode)]

    def _mode(self, stream: bool, batch: int, recorder: Recorder | None) -> Synchronous | Layerwise:
        neurons: dict[str, SpikingReLU] = dict(self.neurons.items())  # type: ignore[arg-type]
        if not stream:
            return mode_of(self.schedule, self.delay, neurons, recorder)
        if self.schedule != "synchronous":
            raise ValueError(f"every run of a {self.schedule} network starts anew; it has no stream to go on with")
        if self._stream is None:
            self._stream, self._stream_batch = Synchronous(neurons), batch
        if self._stream_batch != batch:
            raise ValueError(
                f"the stream holds {self._stream_batch} samples and got {batch}; call reset() between streams"
            )
        self._stream.recorder = recorder
        return self._stream

    def _inputs(self, args: tuple[Any, ...]) -> list[Tensor]:
        tensors = self.graph.flatten(args)
        kind = next((b.dtype for b in self.buffers() if b.is_floating_point()), torch.float32)
        return [x.to(kind) if x.is_floating_point() else x for x in tensors]

    def output_at(self, block: list[Any], index: int) -> Any:
        """The network's output, in its own structure, at one step of what ``blocks`` yields."""
        values = [o[index] if isinstance(o, Tensor) else o for o in block]
        return pytree.tree_unflatten(values, self.graph.out_spec)

    def as_dict(self) -> dict[str, Any]:
        """Settings and layers in numbers and words, for JSON."""
        return describe(self)

    def summary(self) -> str:
        """A table: each spiking layer, its neuron, its size, its threshold range and its fan-out."""
        return table(self)

    def extra_repr(self) -> str:
        delay = f", delay={self.delay}" if self.schedule == "pipelined" else ""
        return f"schedule={self.schedule}{delay}, timesteps={self.timesteps}, latency={self.latency}"


def _in_time(value: Any, steps: int) -> Any:
    if isinstance(value, Timed):
        return value.values
    return value.expand(steps, *value.shape) if isinstance(value, Tensor) else value


def _join(parts: list[Any]) -> Any:
    if not isinstance(parts[0], Tensor):
        return parts[0]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
