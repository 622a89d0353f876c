"""The second pass of calibration: ANN and SNN side by side."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...progress import SHARES, Progress
from ...ranks import here
from ..data import first_rows, rows
from ..errors import warn
from ..graph import Graph
from ..memory_limits import calibration_budget, calibration_piece, give_back
from ..options import MSE, Options
from ..passes import readouts
from ..run.execution_plan import Plan, size_of
from ..run.graph_walk import Value
from ..run.neurons import SpikingReLU, channel_axis
from ..run.time_varying import Timed
from .checkpoint import NOTHING, Checkpoint
from .converted_prefix import Prefix
from .finished_layers import FinishedLayers
from .layer_order import Route, Stop
from .memory_or_disk import Store, free_on_disk
from .owned_batches import Found, Piece
from .packed_integers import packing_of
from .repair.ridge import End, System, ends, mend, repair_work
from .statistics import per_channel
from .threshold_trials import Trials
from .thresholds import require_finite
from .trained_thresholds import exact_values

SPARE = 0.9
"""Of what is free on the disk: the share that calibration may take."""


class Sequential:
    """The second pass: ANN and SNN side by side, node by node, over all samples, however many fit into memory.

    Of several processes each computes what follows from its own batches, and all have the network that comes of it.

    Half of the memory holds what is kept from layer to layer, the rest is for what is under way.

    Args:
        graph: With roles; ridge repair puts other weights in the place of its own.
        plan: Of the graph.
        neurons: By node name; they are set.
        options: How to convert.
        device: The network's.
        progress: Told which layer is worked on, and the share of the work that is done.
        ann: The graph with the ANN's weights, if ``graph`` has others already.
        only: Names of the layers to calibrate; the others run as they are. None: all.
        kept: Where it is noted which layers are done, and what those have that are done already.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        neurons: dict[str, SpikingReLU],
        options: Options,
        device: torch.device,
        progress: Progress,
        ann: Graph | None = None,
        only: Set[str] | None = None,
        kept: Checkpoint = NOTHING,
    ) -> None:
        self.graph, self.neurons, self.kept = graph, neurons, kept
        self.only = neurons.keys() if only is None else only
        self.options, self.device, self.progress = options, device, progress
        self.generator = torch.Generator().manual_seed(options.seed)
        # The layers that can mend each current.
        self.ends = ends(graph) if options.correction == "ridge" else {}
        if only is not None:
            between = {node.name for name in only for node in plan.before(name)}
            self.ends = {name: end for name, end in self.ends.items() if name in between}
        self.exact = exact_values(graph, neurons, options)
        self.ends = {name: end for name, end in self.ends.items() if not self._is_exact(name, end)}
        self.readouts = [] if options.correction == "none" else [n for n in readouts(graph) if n not in self.exact]
        mended = {name for name, end in self.ends.items() if not end.rectified}
        self.spiked = plan.spiked
        self.route = Route(graph, mended, set(self.readouts), plan.side_by_side)
        memory = calibration_budget(options.memory_budget, device)
        work = calibration_piece(memory, device)
        self.store, self.memory = Store(memory // 2, device), memory // 2
        sizes = self.route.batch_sizes
        self.prefix = Prefix(graph, plan, (ann or graph).tensors, neurons, options, sizes, self.store, work)
        self.trials = Trials(graph, self.prefix, options, device, self.generator, memory // 4)

    def take(self, inputs: list[Tensor]) -> bool:
        """Add a batch, of which as many samples count as are still missing; whether more are wanted."""
        missing = self.options.samples - self.prefix.samples
        if missing > 0:
            self.prefix.add(first_rows(inputs, missing))
        return missing > rows(inputs)

    def _is_exact(self, name: str, end: End) -> bool:
        """Whether what reads a current gives what the ANN has as it is."""
        readers = self.graph.users.get(name, []) if end.rectified else [self.graph.node(name)]
        return all(node is not None and node.name in self.exact for node in readers)

    @torch.no_grad()
    def run(self) -> dict[str, Tensor]:
        """Calibrate all layers; the missing mean of each readout, ``(1, C, ...)``, by node name."""
        try:
            self._check_room()
            return self._run()
        finally:
            self.store.close()

    def _run(self) -> dict[str, Tensor]:
        notes = FinishedLayers(self.graph, self.neurons, self.generator, self.kept)
        missing, finished = notes.restored(self.options.timesteps)
        work, done, number = [self._work(stop) for stop in self.route.stops], 0.0, 0
        layers = {*self.only, *self.ends, *self.readouts}
        count = sum(stop.node.name in layers for stop in self.route.stops)
        stage, last = "", len(self.route.stops)
        for stop, each, place in zip(self.route.stops, work, range(1, last + 1), strict=True):
            name = stop.node.name
            number += name in layers
            again = place <= finished
            what = f"calibrating layer {number} of {count}," if name in layers and not again else "running"
            stage = f"{what} {stop.node.where}"
            self.progress.report(stage, int(SHARES * done / sum(work)), SHARES)
            done += each
            if again:
                pass
            elif name in self.only:
                if stop.current in self.ends and self.ends[stop.current].rectified:
                    self._repair(stop, self.neurons[name])
                self._calibrate(stop)
            elif name in self.ends and not self.ends[name].rectified:
                self._repair(stop, None)
            if name in self.readouts and not again:
                missing[name] = self._missing(stop)
            if finished < last:
                here().gathered(partial(self.prefix.advance, stop))
                give_back()
            if not again and (place == last or self.kept.due()):
                notes.note([stop.node.name for stop in self.route.stops[:place]], missing)
        if stage:
            self.progress.report(stage, SHARES, SHARES)
        return missing

    def _work(self, stop: Stop) -> float:
        """About how much there is to do at a stop, in multiply-accumulates: known before anything is done."""
        total = 1.0 + self.prefix.samples * self.route.work(stop, self.prefix.steps)
        shape = self.graph.shape(stop.current) or ()
        for layer in self.ends[stop.current].layers if stop.current in self.ends else ():
            axis = channel_axis(self.graph.node(stop.current), self.graph)  # type: ignore[arg-type]
            positions = self.prefix.samples * size_of(shape) // (size_of(shape[axis : axis + 1]) if axis else 1)
            total += repair_work(layer, self.graph.tensors[layer.args[1].name], positions)
        return total

    def _check_room(self) -> None:
        """Take fewer samples, and say so, if what must be kept fits neither into memory nor on the disk."""
        prefix = self.prefix
        packings = {name: packing_of(neuron.options) for name, neuron in self.neurons.items()}
        spikes = {name: packing.bits / 8 if packing else 4.0 for name, packing in packings.items()}
        if prefix.layerwise:
            spikes = dict.fromkeys(spikes, 4.0)
        each = max(1, self.route.most_alive(spikes, prefix.steps))
        needed, given = each * prefix.samples, prefix.samples
        if needed <= self.store.budget:
            return
        free = self.kept.same("free on disk", lambda: here().once(free_on_disk))
        room = self.store.budget + int(SPARE * free)
        if needed <= room:
            return
        prefix.leave(max(1, room // each))
        warn(
            f"calibration uses {prefix.samples} of the {given} samples: for all of them it would have to keep "
            f"{needed / 2**30:.3g} GiB, and memory and the folder for temporary files have room for "
            f"{room / 2**30:.3g} GiB. Set TMPDIR to a folder with more room, or give fewer timesteps"
        )

    def _repair(self, stop: Stop, neuron: SpikingReLU | None) -> None:
        """Mend a current by the weights of the layers that give it."""
        end = self.graph.node(stop.current)
        assert end is not None
        axis = channel_axis(end, self.graph)
        counts, lengths = self.prefix.positions(stop, axis)
        for layer in self.ends[stop.current].layers:
            fed = layer.refs[0]
            if fed not in self.spiked:
                continue  # what feeds it is exact
            weight, prefix = self.graph.tensors[layer.args[1].name], self.prefix
            steps, apart = prefix.steps, prefix.apart
            system = System(layer, weight, axis, counts, lengths, steps, apart, self.generator, self.store, self.memory)

            def picked(piece: Piece, fed: str = fed, system: System = system) -> Any:
                z = self.prefix.as_ann(piece, stop)
                require_finite(z, stop.node.where)
                found = self.prefix.means(piece, stop, system.until(piece), frozenset([fed]))
                return system.picked(found[fed].values, z, found[stop.current].values, piece)

            for _, some in prefix.each(prefix.numbers(stop) * (1 + system.entries), picked):
                system.add(some)
            rectified = neuron is not None and not neuron.two_sided
            found = system.solve(rectified, neuron.cap if neuron is not None else None)
            change, bias = (x.to(weight) for x in here().once(lambda found=found: found))  # type: ignore[misc]
            # That of neurons and readouts is chosen anew afterwards, on the currents that the new weights give.
            constant = None if neuron is not None or stop.current in readouts(self.graph) else bias
            mend(layer, self.graph, change, constant)

    def _both(self, stop: Stop, work: Callable[[Tensor, Tensor], Found]) -> list[Found]:
        """What is made, piece by piece, of the ANN's current and the SNN's mean, ``(N, ...)``."""
        prefix = self.prefix

        def made(piece: Piece) -> Found:
            until = torch.full((1, piece.rows.stop - piece.rows.start), prefix.steps)
            mean: Value = prefix.means(piece, stop, until)[stop.current]
            return work(prefix.as_ann(piece, stop), mean.values[0] if isinstance(mean, Timed) else mean)

        return [found for _, found in prefix.each(2 * prefix.numbers(stop), made)]

    def _missing(self, stop: Stop) -> Tensor:
        axis = channel_axis(stop.node, self.graph)

        def difference(wanted: Tensor, given: Tensor) -> tuple[Tensor, int]:
            others = [i for i in range(wanted.dim()) if i != axis or i == 0]
            found = (wanted - given).sum(others, keepdim=True, dtype=torch.float64)
            return found, wanted.numel() // found.numel()

        total, count = torch.zeros((), dtype=torch.float64), 0
        for each, positions in self._both(stop, difference):
            total, count = total.to(each) + each, count + positions
        return (total / count).float()

    def _calibrate(self, stop: Stop) -> None:
        """Set bias and threshold of one layer from the ANN's and the SNN's currents."""
        neuron = self.neurons[stop.node.name]
        if neuron.step is not None:
            neuron.timesteps = self.options.timesteps
            highest = self._both(stop, lambda z, _: neuron.ann(z).max())
            neuron.set_threshold(torch.stack(highest).amax().reshape(1))
        neuron.fit_to(self.options.timesteps)
        if stop.node.name in self.exact:
            neuron.bias = torch.zeros_like(neuron.bias)
            return
        if self.options.correction != "none":
            neuron.bias = neuron.spread(self._offset(stop, neuron)).to(neuron.bias)
        if isinstance(self.options.threshold, MSE):
            self.trials.run(stop, neuron)
            self._agree(neuron)

    def _agree(self, neuron: SpikingReLU) -> None:
        """All processes have what rank 0 has found: theirs may be of another kind, and round otherwise."""
        chosen = here().once(lambda: (neuron.threshold, neuron.bias, neuron.start))
        neuron.threshold, neuron.bias, neuron.start = (x.to(neuron.threshold.device) for x in chosen)

    def _offset(self, stop: Stop, neuron: SpikingReLU) -> Tensor:
        """The current that is missing on average, per channel, over the positions where it matters.

        Those are the positions where the ANN's ReLU is active or the SNN's would be: elsewhere a
        difference changes nothing, and counting it would shift the rest for nothing.
        """

        def counted(z: Tensor, current: Tensor) -> tuple[Tensor, Tensor]:
            require_finite(z, neuron.where)
            wanted, given = per_channel(z, neuron.axis), per_channel(current, neuron.axis)
            matters = (wanted > 0) | (given > 0)
            matters = torch.ones_like(matters) if neuron.two_sided else matters
            return ((wanted - given) * matters).sum(0, dtype=torch.float64), matters.sum(0, dtype=torch.float64)

        total = count = torch.zeros((), dtype=torch.float64)
        for difference, positions in self._both(stop, counted):
            total, count = total + difference, count + positions
        return (total / count.clamp(min=1)).float()
