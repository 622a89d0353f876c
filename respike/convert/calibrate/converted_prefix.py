"""ANN and SNN side by side, from what is kept of both up to a current, piece by piece within a memory budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..graph import BATCH, Graph, Node
from ..options import Options
from ..run.analog import Analog
from ..run.execution_plan import Plan, size_of
from ..run.graph_walk import Value, Walk
from ..run.moving_inputs import StepInputs, means
from ..run.neurons import SpikingReLU
from ..run.schedules.layerwise import Layerwise
from ..run.schedules.synchronous import Synchronous
from ..run.time_varying import Timed
from ..thread_pool import cut
from .kept_signals import Kept
from .layer_firing import Firing
from .layer_order import Stop
from .memory_or_disk import Store
from .owned_batches import Batches, Found, Piece
from .packed_integers import packing_of


class Prefix:
    """What is kept of ANN and SNN, and what follows from it.

    Of several processes each keeps and computes the batches that are its own, see ``rank_batches``.

    Args:
        graph: With roles; its tensors are the SNN's weights, and may be replaced on the way.
        plan: Of the graph.
        ann: The ANN's weights.
        neurons: By node name.
        options: T and schedule.
        batch_sizes: Names of the nodes that are the number of samples.
        store: Where values are kept.
        work: Bytes that may be under way at once, about.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        ann: Mapping[str, Tensor],
        neurons: Mapping[str, SpikingReLU],
        options: Options,
        batch_sizes: Set[str],
        store: Store,
        work: int,
    ) -> None:
        self.batch_sizes = batch_sizes
        self.graph, self.ann_weights, self.neurons, self.options = graph, dict(ann), neurons, options
        self.store, self.work, self.apart = store, work, plan.side_by_side
        self.timed = graph.varying.union(node.name for node in plan.timed)
        self.first = plan.first
        self.layerwise = options.schedule == "layerwise"
        self.steps = 1 if self.layerwise else options.timesteps
        self.batches = Batches(self.apart, store.device)
        self.ann: dict[int, dict[str, Kept]] = {}
        self.snn: dict[int, dict[str, Kept]] = {}

    def add(self, inputs: list[Tensor]) -> None:
        """A batch of inputs."""
        for batch, rows in self.batches.add(next((len(x) for x in inputs if x.dim()), 1)):
            if self.batches.is_own(batch):
                self._add(batch, inputs if rows is None else cut(inputs, rows))

    def _add(self, batch: int, inputs: list[Tensor]) -> None:
        inputs, count = self.graph.first_frames(inputs, self.options.timesteps), self.batches.counts[batch]
        values: dict[str, Kept] = {}
        for name, x in zip(self.graph.inputs, means(self.graph, inputs), strict=True):
            values[name] = self._kept(count)
            values[name].write(slice(0, values[name].rows), 0, x)
        self.ann[batch], self.snn[batch] = dict(values), values
        frames, mode = StepInputs(self.graph, inputs, self.steps), Synchronous({})
        values.update({name: self._kept(count) for name in frames.varying})
        length = self._block(count * sum(size_of(self.graph.shape(name)) for name in frames.varying))
        for start in range(0, self.steps if frames.varying else 0, length):
            mode.begin(min(length, self.steps - start))
            for name, block in frames.at(start, mode).items():
                values[name].write(slice(0, values[name].rows), start, block)

    def _kept(self, count: int, node: Node | None = None) -> Kept:
        packing = packing_of(self.neurons[node.name].options) if node is not None else None
        return Kept(self.store, count if self.apart else 1, self.steps, packing, self.apart)

    def options_at(self, stop: Stop) -> Options:
        """Those of the layer at a stop: pipelined, one that the inputs alone feed waits for nobody."""
        alone = self.options.schedule == "pipelined" and stop.node.name in self.first
        return replace(self.options, schedule="synchronous") if alone else self.options

    @property
    def samples(self) -> int:
        """How many there are."""
        return self.batches.samples

    def leave(self, count: int) -> None:
        """Go on with at most so many samples; where these meet, with whole batches."""
        self.batches.leave(count)
        for kept in (self.ann, self.snn):
            for batch in [batch for batch in kept if batch >= len(self.batches.counts)]:
                del kept[batch]

    def each(self, numbers: int, work: Callable[[Piece], Found]) -> Iterator[tuple[Piece, Found]]:
        """Every piece of all batches in their order, and what the process that has it computes from it.

        Args:
            numbers: How many of them are under way at once for each sample; pieces are as small as the budget wants.
            work: Computes it.
        """
        return self.batches.each(self._size(numbers), work)

    def _size(self, numbers: int) -> int:
        """Samples of a piece."""
        return max(1, self.work // (4 * max(numbers, 1)))

    def positions(self, stop: Stop, axis: int) -> tuple[list[int], list[int]]:
        """How many positions of a current each batch has, and how many rows: samples, where these never meet.

        Args:
            stop: Where.
            axis: Of the current's channels; 0 if there are none.
        """
        shape = self.graph.shape(stop.current)
        fixed = shape is not None and shape[0] is BATCH and all(n is not None and n > 0 for n in shape[1:])
        if fixed:
            each = size_of(shape) // (size_of(shape[axis : axis + 1]) if axis and shape else 1)
            return [count * each for count in self.batches.counts], self.batches.counts
        found, rows = ([0] * len(self.batches.counts) for _ in range(2))

        def counted(piece: Piece) -> tuple[int, int]:
            z = self.as_ann(piece, stop)
            return z.numel() // (z.shape[axis] if axis else 1), len(z)

        for piece, (positions, length) in self.each(self.numbers(stop), counted):
            found[piece.batch] += positions
            rows[piece.batch] += length
        return found, rows

    def as_ann(self, piece: Piece, stop: Stop) -> Tensor:
        """The ANN's current."""
        env = {name: self.ann[piece.batch][name].at(piece.rows, slice(0, 1)) for name in stop.base}
        walk = self._walk(piece, self.ann_weights, env)
        walk.run(stop.nodes, Analog(), _last_use(stop.nodes, {stop.current}))
        found: Tensor = walk.env[stop.current]
        return found

    def means(self, piece: Piece, stop: Stop, until: Tensor, also: frozenset[str] = frozenset()) -> dict[str, Value]:
        """The SNN's mean currents in the first t steps, for several t: a time axis that holds these.

        A mean of currents is the current of a mean, behind maxima too: those hand on the maximum of the sums. So this
        takes no pass for each step.

        Args:
            piece: Of which samples.
            stop: Where.
            until: t, ``(E, rows)``.
            also: Names of other values that are wanted.

        Returns:
            The current and those values, by name; a plain tensor where nothing varies in time.
        """
        kept = self.snn[piece.batch]
        sizes = sum(size_of(self.graph.shape(name)) for name in stop.base)
        length = max(1, self.work // max(1, piece.samples * sizes))
        env = {name: kept[name].means(piece.rows, until, length) for name in stop.base}
        walk = self._walk(piece, self.graph.tensors, env)
        wanted = {stop.current, *also}
        walk.run(stop.nodes, Layerwise({}), _last_use(stop.nodes, wanted))
        return {name: walk.env[name] for name in wanted}

    def numbers(self, stop: Stop) -> int:
        """Numbers for each sample and step that are under way at once at a stop."""
        return max(
            self._most(stop.nodes, stop.base, [stop.current]), self._most(stop.making, stop.making_base, stop.keeps)
        )

    def _most(self, nodes: list[Node], base: list[str], wanted: list[str]) -> int:
        alive = {name: size_of(self.graph.shape(name)) for name in base}
        last, most = _last_use(nodes, set(wanted)), sum(alive.values())
        for node in nodes:
            alive[node.name] = size_of(node.shape)
            most = max(most, sum(alive.values()) + 2 * alive[node.name])
            for name in last.get(node.name, ()):
                alive.pop(name, None)
        return most + 2 * max((size_of(self.graph.shape(name)) for name in wanted), default=0)

    def currents(self, stop: Stop, piece: Piece) -> Iterator[tuple[int, Value]]:
        """The SNN's current block by block of time, and the step at which each begins."""
        for start, _, walk in self._blocks(piece, stop, stop.nodes, stop.base, [stop.current]):
            yield start, walk.env[stop.current]

    def advance(self, stop: Stop) -> None:
        """Let the neurons fire, and keep what is read later, of both networks; forget what is not."""
        if stop.keeps:
            for batch in self.ann:
                count = self.batches.counts[batch]
                for name in stop.keeps:
                    self.ann[batch][name] = self._kept(count)
                    self.snn[batch][name] = self._kept(count, stop.node if name in stop.sent else None)
                for piece in self.batches.pieces(batch, self._size(self.numbers(stop) * self.steps)):
                    self._keep_ann(stop, piece)
                    self._keep_snn(stop, piece)
        for name in stop.drops:
            for kept in (*self.ann.values(), *self.snn.values()):
                kept.pop(name).drop()

    def _keep_ann(self, stop: Stop, piece: Piece) -> None:
        kept = self.ann[piece.batch]
        nodes, base = self._all(stop)
        nodes = [*nodes, *((stop.node, *stop.pools) if stop.sent else ())]
        walk = self._walk(piece, self.ann_weights, {name: kept[name].at(piece.rows, slice(0, 1)) for name in base})
        walk.run(nodes, Analog(), _last_use(nodes, set(stop.keeps)))
        for name in stop.keeps:
            kept[name].write(piece.rows, 0, walk.env[name])

    def _keep_snn(self, stop: Stop, piece: Piece) -> None:
        kept = self.snn[piece.batch]
        made = [name for name in stop.keeps if name not in stop.sent]
        firing = Firing(self.neurons[stop.node.name], self.options_at(stop)) if stop.sent else None
        behind = self._mode()
        written = 0
        wanted = [*made, *([stop.current] if stop.sent else [])]
        for start, length, walk in self._blocks(piece, stop, *self._all(stop), wanted):
            for name in made:
                value = walk.env[name]
                if start == 0 or isinstance(value, Timed):
                    kept[name].write(piece.rows, start, value)
            if firing is None:
                continue
            for sent in firing.block(walk.env[stop.current], length, start + length == self.steps):
                after = self._walk(piece, {}, {stop.node.name: sent})
                self._begin(behind, len(sent.values))
                after.run(stop.pools, behind)
                for name in stop.sent:
                    kept[name].write(piece.rows, written, after.env[name])
                written += len(sent.values)

    def _all(self, stop: Stop) -> tuple[list[Node], list[str]]:
        """What makes all that is kept, but for the neurons and pools, and what it is made from."""
        if not stop.sent:
            return stop.making, stop.making_base
        names = {n.name for n in (*stop.making, *stop.nodes)}
        return [n for n in self.graph.nodes if n.name in names], list(dict.fromkeys([*stop.making_base, *stop.base]))

    def _blocks(
        self, piece: Piece, stop: Stop, nodes: list[Node], base: list[str], wanted: list[str]
    ) -> Iterator[tuple[int, int, Walk]]:
        """A walk over blocks of time: where each begins, how long it is, and the walk behind it."""
        kept = self.snn[piece.batch]
        still = [n for n in nodes if n.name not in self.timed]
        moving = [n for n in nodes if n.name in self.timed]
        mode = self._mode()
        constant = {name: kept[name].at(piece.rows, slice(0, 1)) for name in base if name not in self.timed}
        walk = self._walk(piece, self.graph.tensors, constant)
        walk.run(still, mode, _last_use(still, {*wanted, *(name for n in moving for name in n.refs)}))
        release = _last_use(moving, {*wanted, *walk.env})
        size = self._block(piece.samples * self.numbers(stop))
        for start in range(0, self.steps, size):
            length = min(size, self.steps - start)
            self._begin(mode, length)
            steps = slice(start, start + length)
            walk.env.update({name: kept[name].at(piece.rows, steps) for name in base if name in self.timed})
            walk.run(moving, mode, release)
            yield start, length, walk

    def _block(self, numbers: int) -> int:
        """Steps that are run at once where each takes so many numbers; all of them if there is room."""
        return max(1, min(self.steps, self.work // (4 * max(numbers, 1))))

    def _mode(self) -> Synchronous | Layerwise:
        return Layerwise(self.neurons) if self.layerwise else Synchronous(self.neurons)

    def _begin(self, mode: Any, steps: int) -> None:
        mode.begin(torch.tensor([self.options.timesteps]) if self.layerwise else steps)

    def _walk(self, piece: Piece, weights: Mapping[str, Tensor], env: Mapping[str, Value]) -> Walk:
        nothing = [torch.empty(0, device=self.store.device)] * len(self.graph.inputs)
        walk = Walk(self.graph, weights, nothing)
        walk.env.update({**dict.fromkeys(self.batch_sizes, piece.samples), **env})
        return walk


def _last_use(nodes: list[Node], wanted: set[str]) -> dict[str, list[str]]:
    """For each node what nobody among them reads after it."""
    last = {name: node.name for node in nodes for name in (node.name, *node.refs)}
    released: dict[str, list[str]] = {}
    for name, reader in last.items():
        if name not in wanted:
            released.setdefault(reader, []).append(name)
    return released
