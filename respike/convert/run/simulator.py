"""Runs a graph with its neurons over time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ...layers import kernels
from .. import checks
from ..caller_state import Inference
from ..checked_settings import Setting
from ..checks import bytes_or_none, one_of, whole
from ..graph import Graph
from ..memory_limits import room
from ..options import PRECISIONS, Pipelined, Precision, Schedule, schedule_of
from ..thread_pool import cut, map_pieces, worker_count
from .arithmetic import Arithmetic, check_holds
from .before_run import number_type, ready_inputs, warn_of_longer_run
from .event_synapses import compact, why_dense
from .execution_plan import Plan
from .graph_walk import Walk
from .join_estimates import batch_first, in_time, repeated, side_by_side
from .moving_inputs import StepInputs, check_runs, steps_of
from .neurons import SpikingReLU
from .recording import Recorder, Watch
from .schedules.by_name import latency, mode_of
from .schedules.layerwise import Layerwise
from .schedules.synchronous import Synchronous
from .time_varying import channels_last
from .weights_module import Weights, versions

STEPS = 16
"""Timesteps for which a piece of a batch is sized."""


class Simulator(nn.Module):
    """A graph, its weights and its neurons, run over time; ``SpikingNetwork`` adds what users do with a network.

    Arguments and attributes are those of ``SpikingNetwork``.
    """

    timesteps = Setting[int](lambda _, value: whole("timesteps", value, 1, checks.STEPS))
    calibrated_timesteps = Setting[int](lambda _, value: whole("calibrated_timesteps", value, 1))
    schedule = Setting[Schedule](lambda snn, value: snn._scheduled(value))
    delay = Setting[int](lambda _, value: whole("delay", value, 0))
    precision = Setting[Precision](lambda snn, value: snn._held(value))
    memory_budget = Setting["int | None"](lambda _, value: bytes_or_none("memory_budget", value))

    def __init__(
        self,
        graph: Graph,
        neurons: Mapping[str, SpikingReLU],
        timesteps: int,
        schedule: Schedule = "synchronous",
        delay: int = 1,
        calibrated_timesteps: int | None = None,
    ) -> None:
        super().__init__()
        self.weights = Weights(graph.tensors)
        # From here on the graph knows the weights by name and shape only.
        self.graph = replace(graph, tensors={k: v.to("meta") for k, v in graph.tensors.items()})
        self.neurons = nn.ModuleDict(dict(neurons))
        self.timesteps = timesteps
        self.calibrated_timesteps = timesteps if calibrated_timesteps is None else calibrated_timesteps
        self.schedule = schedule
        self.delay = delay
        self.fitted = False
        self.origin: Graph | None = None
        self.unit_thresholds = False
        self._told = False
        self.memory_budget = None
        self.precision = "float32"
        self.plan = Plan(self.graph)
        self._arithmetic: tuple[Any, Arithmetic] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: all but what is made when needed."""
        return {**self.__dict__, "_arithmetic": None}

    def layers(self) -> dict[str, SpikingReLU]:
        """The layers of neurons by node name."""
        return dict(self.neurons.items())  # type: ignore[arg-type]

    def held_graph(self) -> Graph:
        """The graph with its weights."""
        return replace(self.graph, tensors=dict(self.weights.named_buffers()))

    def _scheduled(self, value: Any) -> Schedule:
        name, delay = schedule_of(value)
        if isinstance(value, Pipelined):
            self.delay = delay
        return name

    def _held(self, precision: Any) -> Any:
        one_of("precision", precision, PRECISIONS)
        for neuron in self.neurons.values():
            assert isinstance(neuron, SpikingReLU)
            check_holds(precision, neuron.options, neuron.where)
        return precision

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

    def forward(self, *args: Any) -> Any:
        """The ANN's output, estimated from ``timesteps`` steps, or from all frames; same structure, shapes and units.

        Raises:
            ValueError: inputs of another number, structure or shape than the ANN's, or with NaN or infinity in them.
        """
        inputs = self.graph.flatten(args)
        steps = steps_of(self.graph, inputs, None, self.timesteps)
        return self.output_at(self._joined(inputs, steps, only_last=True), -1)

    def simulate(self, *args: Any, timesteps: int | None = None) -> Any:
        """The decoded estimate after each step.

        Args:
            *args: Inputs as for the ANN, each ``(N, ...)``, held constant over time; those that move, see
                ``with_time``, are ``(N, T, ...)``.
            timesteps: How many steps; ``self.timesteps`` by default, of inputs that move as many as there are frames.

        Returns:
            For each of the ANN's outputs ``(N, T, ...)``, or ``(T, ...)`` where it does not begin with the
            batch; entry t − 1 is the estimate after t steps. With the schedules ``layerwise`` and ``pipelined``
            that is the result of a run of its own with t steps *per layer*, of the latency ``latency_at(t)``;
            pipelined all of them cost T · (T + 1) / 2 steps of work, ``snn(x)`` T.

        Raises:
            ValueError: inputs of another shape than the ANN's or with NaN or infinity in them; ``timesteps`` below 1.
        """
        inputs = self.graph.flatten(args)
        steps = steps_of(self.graph, inputs, timesteps, self.timesteps)
        return pytree.tree_unflatten(batch_first(self.graph, self._joined(inputs, steps)), self.graph.out_spec)

    @Inference()
    def _joined(self, inputs: list[Tensor], timesteps: int, only_last: bool = False) -> list[Any]:
        """For each output of the graph its estimates ``(T, N, ...)``, all parts of the batch worked on at once."""

        def run(piece: slice) -> list[Any]:
            return in_time(list(self.blocks(cut(inputs, piece), timesteps=timesteps, only_last=only_last)))

        found = list(map_pieces(run, *self.pieces(inputs, timesteps)))
        return found[0] if len(found) == 1 else side_by_side(self.graph, found)

    def pieces(self, inputs: list[Tensor], timesteps: int) -> tuple[list[slice], int]:
        """The pieces of a batch to run by themselves within ``memory_budget``, and how many at once.

        One piece where samples may meet (``batch.apart``), and on a GPU.

        Raises:
            ValueError: as for ``simulate``.
        """
        inputs = self._inputs(inputs)
        timesteps = steps_of(self.graph, inputs, timesteps, timesteps)
        self._tell_of(timesteps)
        lengths = {len(x) for x in inputs if x.dim()}
        batch = max(lengths, default=1)
        apart = self.plan.apart and inputs[0].device.type == "cpu" and len(lengths) == 1
        if not apart or batch < 2:
            return [slice(None)], 1
        workers = torch.get_num_threads()
        budget = self._room(inputs[0].device, workers)
        size = self.plan.piece(batch, min(timesteps, STEPS), budget, workers)
        pieces = [slice(start, start + size) for start in range(0, batch, size)]
        return pieces, min(workers, len(pieces))

    def _tell_of(self, timesteps: int) -> None:
        """Warn once of a run that is longer than those that the network was made for."""
        if not self._told:
            self._told = warn_of_longer_run(self.fitted, self.calibrated_timesteps, timesteps)

    @Inference()
    def blocks(
        self,
        inputs: list[Tensor] | Tensor,
        *,
        timesteps: int | None = None,
        held: Synchronous | None = None,
        only_last: bool = False,
        recorder: Recorder | None = None,
        watch: Watch | None = None,
        length: int | None = None,
    ) -> Generator[list[Any], Tensor | None, None]:
        """Run block after block of timesteps, sized to ``memory_budget``; pipelined, run after run.

        Who sends a mask ``(N,)`` back for a block goes on with those samples alone; the others cost nothing from then
        on. That is for ``synchronous`` networks whose samples can be told apart at any time (``plan.separable``).

        Args:
            inputs: In the order of the graph's, as ``graph.flatten`` gives them; or the only one.
            timesteps: How many steps, as in ``simulate``.
            held: The state that the run goes on from; None: it begins.
            only_last: The caller needs the estimate after the last step alone.
            recorder: Told of every layer's events, see ``recording.Recorder``.
            watch: Told of every layer's currents, see ``recording.Watch``.
            length: Steps of a block, instead of what ``memory_budget`` holds.

        Yields:
            For each output of the graph the estimates ``(steps of the block, N, ...)``; with ``only_last`` once, the
            last.
        """
        inputs, plan = self._inputs([inputs] if isinstance(inputs, Tensor) else inputs), self.plan
        total = whole("timesteps", steps_of(self.graph, inputs, timesteps, self.timesteps), 1, checks.STEPS)
        frames, arithmetic = StepInputs(self.graph, inputs, total), self._ready()
        batch = next((len(x) for x in inputs if x.dim()), 1)
        mode = self._mode(recorder, arithmetic) if held is None else held.go_on(recorder, arithmetic)
        mode.watch, before = watch, mode.elapsed + mode.steps
        alone = recorder is None and watch is None  # who records or watches wants every spike
        pooled = plan.pooled if alone and self.schedule != "layerwise" else frozenset()
        sparse = arithmetic if self.schedule != "layerwise" else None  # whose values are means over time
        driving = plan.driving if watch is None and self.schedule == "synchronous" else frozenset()
        walk = Walk(self.graph, arithmetic.weights, frames.still, plan.late_names, plan.paired, pooled, driving, sparse)
        walk.run(plan.static, mode)
        length = length or plan.block(max(batch, 1), total, self._room(inputs[0].device, worker_count()))
        for estimates in mode.runs(total, length, only_last):
            walk.env.update(frames.at(mode.elapsed - before, mode))
            walk.run(plan.body, mode, plan.last_use)
            if not estimates:  # what the last block decodes is the sum of all
                for name in plan.estimated:
                    mode.decode(name, walk.env[name])
                continue
            walk.run(plan.late, mode, plan.last_use)
            rows = yield [repeated(value, estimates) for value in walk.outputs(mode)]
            if rows is not None:
                assert isinstance(mode, Synchronous)
                for one in (walk, mode, frames):
                    one.keep(rows)

    def _room(self, device: torch.device, workers: int) -> int:
        """Bytes for what a worker has under way."""
        return room(self.memory_budget, device, workers, sum(t.nbytes for t in self.weights.buffers()))

    def _ready(self) -> Arithmetic:
        """Weights in the form in which they are used; made anew when they, or the neurons, have changed."""
        tensors = dict(self.weights.named_buffers())
        backend = kernels.backend_for(next(self.buffers()).device)
        now = self.precision, backend, versions(chain(tensors.values(), self.neurons.buffers()))
        if self._arithmetic is None or self._arithmetic[0] != now:
            laid_out = {name: channels_last(t) for name, t in tensors.items()}
            dense = why_dense(self.graph, laid_out, self.plan.sparse, self.plan.late_names)
            nodes = {name for name, why in dense.items() if not why}
            sending = {self.layers()[name] for name in compact(self.graph, nodes, self.plan.paired)}
            self._arithmetic = now, Arithmetic(self.precision, laid_out, nodes, sending)
        return self._arithmetic[1]

    def _mode(self, recorder: Recorder | None, arithmetic: Arithmetic) -> Synchronous | Layerwise:
        check_runs(self.graph, self.schedule)
        return mode_of(self.schedule, self.delay, self.layers(), recorder, arithmetic, self.plan.first)

    def _inputs(self, inputs: list[Tensor]) -> list[Tensor]:
        return ready_inputs(self.graph, inputs, number_type(self.buffers()))

    def output_at(self, block: list[Any], index: int) -> Any:
        """The network's output, in its own structure, at one step of what ``blocks`` yields."""
        values = [o[index] if isinstance(o, Tensor) else o for o in block]
        return pytree.tree_unflatten(values, self.graph.out_spec)

    def extra_repr(self) -> str:
        delay = f", delay={self.delay}" if self.schedule == "pipelined" else ""
        return f"schedule={self.schedule}{delay}, timesteps={self.timesteps}, latency={self.latency}"
