"""Ridge repair: change a layer's weights a little, so that what arrives in the SNN gives what the ANN has there.

    W' = argmin Σ_t w_t·‖W'·x̄_t − z‖² + λ·‖W' − W‖²

in closed form through the Gram matrix of the layer's inputs, without gradients and labels. x̄_t is the mean of what
the SNN has sent in the first t steps and z the ANN's current. The term with t = T makes the sum right in the end; the
others, with less weight, make it right early, so that the current comes evenly: a neuron that fires on what comes
first and is taken back later cannot take its spikes back. Only what a ReLU lets pass counts: where neither the ANN's
nor the SNN's current is positive, the target is what the layer gives anyway (expectation and maximisation
in turns, as for missing data).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

from ....ranks import here
from ...graph import Graph, Node, Ref
from ...graph.rules import Role
from ...passes import readouts
from ...run.neurons import channel_axis
from ..memory_or_disk import Store
from ..owned_batches import Piece
from .gathered_rows import Chunk, Rows
from .input_patches import OPS, Patches
from .least_squares import STRENGTHS, Best, Problem
from .normal_equations import ByInputs, ByRows, Solver, fits_by_inputs, most_rows, solving

POSITIONS, FEWEST, FOR_EACH = 24576, 16384, 128
"""Rows that a layer's system is made of, about: what it takes does not grow with the number of samples. A layer of few
inputs needs less, 128 for each, but 16384 at least."""
EVENNESS = 0.3
"""w_t for t < T in units of (t/T)²; w_T is 1."""
HELD_BACK = 4
"""One sample in so many judges λ and is not fitted."""
LONGEST = 4096
"""Most rows of a chunk."""
AGAIN, SMALL = 2, 256
"""Further turns of expectation and maximisation in layers of so many inputs at most; one in larger ones, where it takes
as long as all the rest of the solution."""
ROOMS = 16
"""How many chunks the memory for one layer would hold."""

_SUMS = ("aten.add.Tensor",)


class End(NamedTuple):
    """A current that layers give together, and at which they can be mended.

    Attributes:
        rectified: Whether neurons alone read it; else it is to be right as it is.
        layers: Its summands, or itself; nobody else reads them.
    """

    rectified: bool
    layers: list[Node]


def ends(graph: Graph) -> dict[str, End]:
    """Where each layer with weights of its own can be mended, by the name of the current.

    That is behind the last sum that its output goes into alone: at neurons, at a readout, or where others go on with
    it, as between residual blocks that end without a ReLU.
    """
    corrected = set(readouts(graph))  # by a constant of their own
    outputs = {*graph.output_names(), *corrected}
    found: dict[str, End] = {}
    for layer in graph.nodes:
        if not _repairs(layer, graph):
            continue
        end = layer
        while end.name not in outputs:
            users = graph.users.get(end.name, [])
            if len(users) != 1 or not _adds(users[0], end, graph):
                break
            end = users[0]
        users = graph.users.get(end.name, [])
        rectified = end.name not in outputs and len(users) == 1 and users[0].role == Role.SPIKE
        if rectified or end.name in corrected or _own_bias(layer, graph) is not None:
            found.setdefault(end.name, End(rectified, [])).layers.append(layer)
    return found


def _adds(node: Node, part: Node, graph: Graph) -> bool:
    """Whether an operation adds something to a current once, as it is: not scaled, and not spread over other axes."""
    plain = node.op in _SUMS and len(node.args) == 2 and not node.kwargs and node.refs.count(part.name) == 1
    return plain and node.shape == part.shape and channel_axis(node, graph) == channel_axis(part, graph)


def _own_bias(layer: Node, graph: Graph) -> str | None:
    """The name of a layer's bias, if it is nobody else's."""
    bias = layer.args[2] if len(layer.args) > 2 else None
    alone = isinstance(bias, Ref) and bias.name in graph.tensors and len(graph.users[bias.name]) == 1
    return bias.name if alone and isinstance(bias, Ref) else None


def mend(layer: Node, graph: Graph, weight: Tensor, bias: Tensor | None) -> None:
    """Add to a layer's weights, and to its bias."""
    name, own = layer.args[1].name, _own_bias(layer, graph)
    graph.tensors[name] = graph.tensors[name] + weight
    if bias is not None and own is not None:
        graph.tensors[own] = graph.tensors[own] + bias


def _repairs(node: Node, graph: Graph) -> bool:
    """Whether it is a linear layer or a convolution with weights of its own."""
    weight = node.args[1] if node.op in OPS else None
    return isinstance(weight, Ref) and weight.name in graph.tensors and len(graph.users[weight.name]) == 1


def repair_work(layer: Node, weight: Tensor, positions: int) -> float:
    """About how many multiply-accumulates the repair of a layer takes, whose output has so many positions in all."""
    shape = _shape(Patches(layer, weight), weight)
    return solving(2 * min(positions, _enough(shape[1])), *shape[1:], shape[0])


def _enough(inputs: int) -> int:
    """How many positions are taken for so many inputs."""
    return min(POSITIONS, max(FEWEST, FOR_EACH * inputs))


def _shape(patches: Patches, weight: Tensor) -> tuple[int, int, int]:
    """Groups, inputs and outputs of each."""
    outputs = weight.shape[1] if patches.transposed else weight.shape[0] // patches.groups
    return patches.groups, weight.numel() // patches.groups // outputs, outputs


class System:
    """The rows of one layer's least squares problem, gathered piece by piece.

    The means over all steps are taken from every sample, those over the first 1, 2, 4, ... steps from every sample
    in turn, so that all of them together are as many. Each process picks the rows of its own pieces; all have all rows,
    in the order of the pieces.

    Args:
        node: The layer.
        weight: Its weight.
        axis: Channel axis of its output.
        positions: How many positions its output has in each batch.
        lengths: And how many rows ``(N, ...)``.
        steps: T.
        apart: Whether samples never meet; else every mean is taken of all of them.
        generator: Chooses the positions.
        store: Where the rows lie.
        memory: Bytes that all this may take beside the store, about.
    """

    def __init__(
        self,
        node: Node,
        weight: Tensor,
        axis: int,
        positions: list[int],
        lengths: list[int],
        steps: int,
        apart: bool,
        generator: torch.Generator,
        store: Store,
        memory: int,
    ) -> None:
        self.patches, self.axis = Patches(node, weight), axis
        self.steps, self.apart, self.device = steps, apart, weight.device
        self.early = [2**k for k in range(steps.bit_length()) if 2**k < steps]
        self.shape = groups, inputs, outputs = _shape(self.patches, weight)
        kinds = 1 + (min(len(self.early), 1) if apart else len(self.early))
        total = sum(positions)
        rows = kinds * min(total, _enough(inputs))
        self.solver: Solver = ByInputs
        if rows <= inputs or not fits_by_inputs(inputs, outputs, groups, memory):
            self.solver, rows = ByRows, min(rows, most_rows(inputs, outputs, groups, memory))
        share = rows / kinds / total
        length = max(64, min(LONGEST, memory // ROOMS // (4 * groups * (inputs + 2 * outputs))))
        self.rows = {
            (t, held): Rows(store, length, 1.0 if t == steps else EVENNESS * (t / steps) ** 2)
            for t in (steps, *self.early)
            for held in (False, True)
        }
        self.lengths, self.begin = lengths, list(accumulate(lengths, initial=0))
        self.index = []  # the positions that are taken of each batch
        for count, length in zip(positions, lengths, strict=True):
            keep = torch.rand(count // length, generator=generator) < share
            keep[torch.randint(len(keep), (1,), generator=generator)] = True
            self.index.append(keep.nonzero().flatten())

    @property
    def entries(self) -> int:
        """How many means of each sample are wanted."""
        return 1 + (min(len(self.early), 1) if self.apart else len(self.early))

    def until(self, piece: Piece) -> Tensor:
        """Means of how many steps are wanted of a piece, ``(E, samples)``, or ``(E, 1)`` if they meet."""
        every = torch.full((piece.samples if self.apart else 1,), self.steps)
        if not self.early:
            return every[None]
        if not self.apart:
            return torch.tensor([self.steps, *self.early])[:, None]
        return torch.stack([every, torch.tensor(self.early)[self._turns(piece, piece.samples)]])

    def _numbers(self, piece: Piece, count: int) -> Tensor:
        """Which of all rows ``(N, ...)`` those of a piece are."""
        first = piece.rows.start * self.lengths[piece.batch] // piece.total if self.apart else 0
        return self.begin[piece.batch] + first + torch.arange(count)

    def _turns(self, piece: Piece, count: int) -> Tensor:
        """Which of the early means each sample gives; that does not depend on whether it is held back."""
        return self._numbers(piece, count) // HELD_BACK % max(len(self.early), 1)

    def picked(self, inputs: Tensor, wanted: Tensor, given: Tensor, piece: Piece) -> list[tuple[Tensor, ...] | None]:
        """The rows of a piece of each kind, for ``add``; None where it has none.

        Args:
            inputs: Means of what arrives at the layer, of as many steps as ``until`` says, ``(E, N, ...)``.
            wanted: The ANN's current ``(N, ...)`` that it leads to.
            given: The SNN's, ``(E, N, ...)``.
            piece: Which one.
        """
        z, s = self._outputs(wanted), self._outputs(given.flatten(0, 1)).unflatten(0, given.shape[:2])
        turns, held = self._turns(piece, len(wanted)), self._numbers(piece, len(wanted)) % HELD_BACK == 0
        index = self.index[piece.batch].to(wanted.device)
        found: list[tuple[Tensor, ...] | None] = []
        for k in range(1 + len(self.early)):
            entry = min(k, 1) if self.apart else k
            for back in (False, True):
                these = (held == back) & ((turns == k - 1) if k else True)
                if not bool(these.any()):
                    found.append(None)
                    continue
                chosen = these.nonzero().flatten().to(wanted.device)
                x = self.patches.of(inputs[entry, chosen], index)
                given_, target = s[entry, chosen][:, index], z[chosen][:, index]
                found.append((x.flatten(0, 1), given_.flatten(0, 1), target.flatten(0, 1)))
        return found

    def add(self, found: list[tuple[Tensor, ...] | None]) -> None:
        """Rows as ``picked`` gives them."""
        for rows, some in zip(self.rows.values(), found, strict=True):
            if some is not None:
                rows.add(*some)

    def _outputs(self, x: Tensor) -> Tensor:
        """``(N, L, G, outputs of a group)``."""
        groups = self.patches.groups
        return x.movedim(self.axis, -1).reshape(len(x), -1, groups, x.shape[self.axis] // groups)

    def solve(self, rectified: bool, cap: float | None) -> tuple[Tensor, Tensor]:
        """The change of weight and bias with the least error on the samples held back; none where it only does harm.

        Args:
            rectified: Whether a ReLU follows, so that only positive currents count.
            cap: Upper bound of the ReLU.
        """
        for rows in self.rows.values():
            rows.finish()
        if not self.rows[self.steps, False].count:  # of one sample: what it fits to would judge it
            self._drop()
            groups, inputs, outputs = self.shape
            return self._spelled(torch.zeros(groups, inputs + 1, outputs, device=self.device))
        # Where no sample with an early mean is held back, or all are, all fit and all judge.
        alone = {t for t in (self.steps, *self.early) if not all(self.rows[t, held].count for held in (False, True))}

        def chunks(held: bool) -> Callable[[], Iterator[Chunk]]:
            rows = [rows for (t, back), rows in self.rows.items() if held == back or t in alone]
            return lambda: chain(*rows)

        judged = chunks(True)
        found = Problem(chunks(False), self.shape, self.device, rectified, self.solver)
        changes = found.at_once()
        nothing = next(changes)
        best = Best(nothing, found.errors(nothing, judged, cap))
        least, strength, kept = inf, inf, nothing
        for one, change in zip((inf, *STRENGTHS), changes, strict=True):
            error = found.errors(change, judged, cap)
            best.offer(change, error)
            total = here().once(lambda error=error: float(error.sum()))  # type: ignore[misc]
            if one < inf and (strength == inf or total < least):
                least, strength, kept = total, one, change
        if rectified:
            for _ in range(AGAIN if self.shape[1] <= SMALL else 1):
                kept = found.again(found.response_of(kept), strength)
                best.offer(kept, found.errors(kept, judged, cap))
        self._drop()
        return self._spelled(found.equations.as_weights(best.change))

    def _spelled(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """A change ``(G, inputs + 1, outputs)`` as that of the layer's weight and of its bias."""
        return self.patches.as_weight(weights[:, :-1]), weights[:, -1].reshape(-1)

    def _drop(self) -> None:
        for rows in self.rows.values():
            rows.drop()
