"""The second pass of calibration: ANN and SNN side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Set
from typing import Any

import torch
from torch import Tensor

from ..data import first_rows, rows, tensors_of
from ..errors import ConversionWarning
from ..graph import BATCH, Graph
from ..memory import PIECE, calibration_budget
from ..options import MSE, Options
from ..passes import readouts
from ..run.neurons import SpikingReLU, channel_axis
from ..run.plan import Plan, size_of
from ..run.timed import Timed
from ..run.walk import Value
from .packed_integers import packing_of
from .prefix import Prefix
from .ridge import HELD_BACK, POSITIONS, End, System, ends, mend
from .route import Route, Stop
from .start_and_bias import choose_start, start_early, sweep_bias
from .statistics import per_channel
from .store import Store, free_on_disk
from .thresholds import best_threshold, best_threshold_of_layer, require_finite, set_thresholds
from .trained_thresholds import exact_values

SAMPLED = 4096
"""Positions per channel on which thresholds are tried out, about; fewer where T of them take too much memory."""
FEWEST = 256
"""So many they are in any case, or one for each sample if those are more."""
SPARE = 0.9
"""Of what is free on the disk: the share that calibration may take."""


class Sequential:
    """The second pass: ANN and SNN side by side, node by node, over all samples, however many fit into memory.

    Half of the memory holds what is kept from layer to layer, the rest is for what is under way.

    Args:
        graph: With roles; ridge repair puts other weights in the place of its own.
        plan: Of the graph.
        neurons: By node name; they are set.
        options: How to convert.
        device: The network's.
        progress: Called with a line of text for each layer.
        ann: The graph with the ANN's weights, if ``graph`` has others already.
        only: Names of the layers to calibrate; the others run as they are. None: all.
        memory: Bytes that all this may take; None: what ``memory.calibration_budget`` says.
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
        memory: int | None = None,
    ) -> None:
        self.graph, self.neurons = graph, neurons
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
        self.route = Route(graph, mended, set(self.readouts), plan.side_by_side)
        memory = calibration_budget(device) if memory is None else memory
        self.trials = memory // 4
        work = min(PIECE, memory // 8) if device.type == "cpu" else memory // 8
        self.store = Store(memory // 2, device)
        sizes = self.route.batch_sizes
        self.prefix = Prefix(graph, plan, (ann or graph).tensors, neurons, options, sizes, self.store, work)

    def take(self, args: tuple[Any, ...]) -> bool:
        """Add a batch, of which as many samples count as are still missing; whether more are wanted."""
        missing = self.options.samples - self.prefix.samples
        if missing > 0:
            self.prefix.add(tensors_of(first_rows(args, missing), self.graph, self.device))
        return missing > rows(args)

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
        missing: dict[str, Tensor] = {}
        done = 0
        for stop in self.route.stops:
            name = stop.node.name
            if name in self.only:
                done += 1
                if stop.current in self.ends and self.ends[stop.current].rectified:
                    self._repair(stop, self.neurons[name])
                self._calibrate(stop)
                if self.progress is not None:
                    self.progress(f"calibrating layer {done} of {len(self.only)}")
            elif name in self.ends and not self.ends[name].rectified:
                self._repair(stop, None)
            if name in self.readouts:
                missing[name] = self._missing(stop)
            self.prefix.advance(stop)
        return missing

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
        room = self.store.budget + int(SPARE * free_on_disk())
        if needed <= room:
            return
        prefix.leave(max(1, room // each))
        warnings.warn(
            f"calibration uses {prefix.samples} of the {given} samples: for all of them it would have to keep "
            f"{needed / 2**30:.3g} GiB, and memory and the folder for temporary files have room for "
            f"{room / 2**30:.3g} GiB. Set TMPDIR to a folder with more room, or give fewer timesteps",
            ConversionWarning,
            stacklevel=4,
        )

    def _repair(self, stop: Stop, neuron: SpikingReLU | None) -> None:
        """Mend a current by the weights of the layers that give it."""
        end = self.graph.node(stop.current)
        assert end is not None
        axis = channel_axis(end, self.graph)
        counts = self._positions(stop, axis)
        for layer in self.ends[stop.current].layers:
            fed = layer.refs[0]
            if fed not in self.graph.timed:
                continue  # what feeds it is exact
            weight, share = self.graph.tensors[layer.args[1].name], min(1.0, POSITIONS / sum(counts))
            prefix = self.prefix
            system = System(
                layer, weight, axis, share, prefix.steps, prefix.apart, self.generator, self.store, prefix.work // 4
            )
            for piece in prefix.pieces(prefix.numbers(stop) * (1 + len(system.until(1)))):
                z = prefix.as_ann(piece, stop)
                require_finite(z, stop.node.where)
                found = prefix.means(piece, stop, system.until(piece.samples), frozenset([fed]))
                system.add(found[fed].values, z, found[stop.current].values, piece.first)
            change, bias = system.solve(neuron is not None, neuron.cap if neuron is not None else None)
            # That of neurons and readouts is chosen anew afterwards, on the currents that the new weights give.
            constant = None if neuron is not None or stop.current in readouts(self.graph) else bias
            mend(layer, self.graph, change, constant)

    def _both(self, stop: Stop) -> Any:
        """Piece by piece the ANN's current and the SNN's mean, ``(N, ...)``."""
        prefix = self.prefix
        for piece in prefix.pieces(2 * prefix.numbers(stop)):
            until = torch.full((1, piece.rows.stop - piece.rows.start), prefix.steps)
            mean: Value = prefix.means(piece, stop, until)[stop.current]
            yield prefix.as_ann(piece, stop), mean.values[0] if isinstance(mean, Timed) else mean

    def _missing(self, stop: Stop) -> Tensor:
        axis = channel_axis(stop.node, self.graph)
        total, count = torch.zeros((), dtype=torch.float64), 0
        for wanted, given in self._both(stop):
            others = [i for i in range(wanted.dim()) if i != axis or i == 0]
            difference = (wanted - given).sum(others, keepdim=True, dtype=torch.float64)
            total, count = total.to(difference) + difference, count + wanted.numel() // difference.numel()
        return (total / count).float()

    def _calibrate(self, stop: Stop) -> None:
        """Set bias and threshold of one layer from the ANN's and the SNN's currents."""
        neuron = self.neurons[stop.node.name]
        if neuron.step is not None:
            neuron.timesteps = self.options.timesteps
            neuron.set_threshold(torch.stack([neuron.ann(z).max() for z, _ in self._both(stop)]).amax().reshape(1))
        neuron.fit_to(self.options.timesteps)
        if stop.node.name in self.exact:
            neuron.bias = torch.zeros_like(neuron.bias)
            return
        if self.options.correction != "none":
            neuron.bias = neuron.spread(self._offset(stop, neuron)).to(neuron.bias)
        if isinstance(self.options.threshold, MSE):
            self._try_out(stop, neuron)

    def _try_out(self, stop: Stop, neuron: SpikingReLU) -> None:
        """Set the threshold, and what corrects it, by trying them out: on all channels at once if memory allows."""
        chosen, groups = self._chosen(stop, neuron)
        once = [self._sample(stop, neuron, chosen)] if len(groups) == 1 else None

        def parts() -> Iterator[tuple[Tensor, Tensor, Tensor, SpikingReLU]]:
            if once is not None:
                yield *once[0], neuron
                return
            for group in groups:
                yield *self._sample(stop, neuron, chosen, group), neuron.part(group)

        if not neuron.is_trained:
            if self.options.granularity == "layer":
                theta = best_threshold_of_layer(lambda: ((c, t, part) for c, t, _, part in parts()), self.options)
            else:
                found = torch.cat([best_threshold(c, t, part, self.options) for c, t, _, part in parts()])
                theta = torch.empty_like(found).scatter_(0, torch.cat(groups).to(found.device), found)
            set_thresholds(neuron, theta, self.options)
            neuron.fit_to(self.options.timesteps)
        if self.options.correction == "none":
            return
        corrected = []
        for currents, target, held, part in parts():
            if not neuron.is_trained:
                (choose_start if len(currents) > 1 else start_early)(currents, target, part, self.options)
            sweep_bias(currents, target, held, part, self.options)
            corrected.append(part)
        if once is None:
            neuron.take(groups, corrected)

    def _offset(self, stop: Stop, neuron: SpikingReLU) -> Tensor:
        """The current that is missing on average, per channel, over the positions where it matters.

        Those are the positions where the ANN's ReLU is active or the SNN's would be: elsewhere a
        difference changes nothing, and counting it would shift the rest for nothing.
        """
        total = count = torch.zeros((), dtype=torch.float64)
        for z, current in self._both(stop):
            require_finite(z, neuron.where)
            wanted, given = per_channel(z, neuron.axis), per_channel(current, neuron.axis)
            matters = (wanted > 0) | (given > 0)
            total = total + ((wanted - given) * matters).sum(0, dtype=torch.float64)
            count = count + matters.sum(0, dtype=torch.float64)
        return (total / count.clamp(min=1)).float()

    def _chosen(self, stop: Stop, neuron: SpikingReLU) -> tuple[list[Tensor], list[Tensor]]:
        """Up to ``SAMPLED`` random positions of each batch, and the channels in groups that memory holds them of.

        Where T of them take too much memory there are fewer, but about as many as there are samples in any case.
        """
        counts = self._positions(stop, neuron.axis)
        available = sum(counts)
        channels = self._channels(stop, neuron)
        room = self.trials // (4 * channels * self.prefix.steps)
        varies = stop.current in self.prefix.timed
        most = min(SAMPLED, max(FEWEST, self.prefix.samples, room)) if varies else SAMPLED
        chosen = []
        for count in counts:
            keep = torch.rand(count, generator=self.generator) < most / max(available, 1)
            chosen.append(keep.nonzero().flatten() if available > most else torch.arange(count))
        taken = 4 * channels * sum(map(len, chosen)) * (self.prefix.steps if varies else 1)
        groups = min(channels, -(-taken // max(1, self.trials))) if neuron.axis else 1
        return chosen, [torch.arange(k, channels, groups) for k in range(groups)]

    def _channels(self, stop: Stop, neuron: SpikingReLU) -> int:
        shape = self.graph.shape(stop.current) or ()
        return max(1, shape[neuron.axis] or 1) if neuron.axis else 1

    def _sample(
        self, stop: Stop, neuron: SpikingReLU, chosen: list[Tensor], group: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Currents ``(T, S, C)`` and targets ``(S, C)`` at the chosen positions, of a group of the channels or of all.

        And ``(S,)``, which of them belong to samples held back.
        """
        prefix = self.prefix
        channels = self._channels(stop, neuron) if group is None else len(group)
        group = group if group is None else group.to(self.device)
        total = sum(map(len, chosen))
        targets = torch.zeros(total, channels, device=self.device)
        held = torch.zeros(total, dtype=torch.bool, device=self.device)
        currents = torch.zeros(0)
        filled = sample = first = 0
        for piece in prefix.pieces(prefix.numbers(stop) * prefix.steps):
            z = prefix.as_ann(piece, stop)
            require_finite(z, neuron.where)
            target = per_channel(neuron.ann(z), neuron.axis)
            neuron.saw(target)
            first = 0 if piece.first else first
            index = chosen[piece.batch]
            index = index[(index >= first) & (index < first + len(target))] - first
            number = sample + index * piece.samples // len(target)
            place = slice(filled, filled + len(index))
            first, filled, sample = first + len(target), place.stop, sample + piece.samples
            if not len(index):
                continue
            held[place] = (number % HELD_BACK == 0).to(self.device)
            index = index.to(self.device)
            targets[place] = _of(group, target[index])
            for start, current in prefix.currents(stop, piece):
                steps = current.real if isinstance(current, Timed) else current.unsqueeze(0)
                if not len(currents):
                    length = prefix.steps if isinstance(current, Timed) else 1
                    currents = torch.zeros(length, total, channels, dtype=steps.dtype, device=self.device)
                for t, step in enumerate(steps.unbind(0), start):
                    currents[t, place] = _of(group, per_channel(step, neuron.axis)[index])
                if not isinstance(current, Timed):
                    break
        return currents, targets, held

    def _positions(self, stop: Stop, axis: int) -> list[int]:
        """How many positions of a current each batch has."""
        shape = self.graph.shape(stop.current)
        fixed = shape is not None and shape[0] is BATCH and all(n is not None and n > 0 for n in shape[1:])
        if fixed:
            each = size_of(shape) // (size_of(shape[axis : axis + 1]) if axis and shape else 1)
            return [count * each for count in self.prefix.batches]
        found = [0] * len(self.prefix.batches)
        for piece in self.prefix.pieces(self.prefix.numbers(stop)):
            z = self.prefix.as_ann(piece, stop)
            found[piece.batch] += z.numel() // (z.shape[axis] if axis else 1)
        return found


def _of(group: Tensor | None, rows: Tensor) -> Tensor:
    """The channels of a group, of rows ``(S, C)``."""
    return rows if group is None else rows[:, group]
