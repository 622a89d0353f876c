"""Ridge repair: change a layer's weights a little, so that what arrives in the SNN gives what the ANN has there.

    W' = argmin Σ_t w_t·‖W'·x̄_t − z‖² + λ·‖W' − W‖²

in closed form through the Gram matrix of the layer's inputs, without gradients and labels. x̄_t is the mean of what
the SNN has sent in the first t steps and z the ANN's current. The term with t = T makes the sum right in the end; the
others, with less weight, make it right early, so that the current comes evenly: a neuron that fires on what comes
first and is taken back later cannot take its spikes back. Only what a ReLU lets pass counts: where neither the ANN's
nor the SNN's current is positive, the target is what the layer gives anyway (expectation and maximisation in turns, as
for missing data).
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from .graph import Graph, Node, Ref, function
from .passes import readouts
from .patches import OPS, Patches, fan_in
from .rules import Role
from .timed import summed

POSITIONS = 32768
"""Rows that a layer's system is made of, about: what it takes does not grow with the number of samples."""
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""λ in units of the inputs' mean square."""
EVENNESS = 0.3
"""w_t for t < T in units of (t/T)²; w_T is 1."""
LARGEST = 8192
"""Most weights per output: above, the Gram matrix takes too much memory, and the layer is left as it is."""
SWEEPS = 3
HELD_BACK = 4
"""One sample in so many judges λ and is not fitted."""
FEW = 16
"""Rows for each weight of an output, below which those that judged are fitted too, once λ is chosen."""

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
            if len(users) != 1 or users[0].op not in _SUMS:
                break
            end = users[0]
        users = graph.users.get(end.name, [])
        rectified = end.name not in outputs and len(users) == 1 and users[0].role == Role.SPIKE
        if rectified or end.name in corrected or _own_bias(layer, graph) is not None:
            found.setdefault(end.name, End(rectified, [])).layers.append(layer)
    return found


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
    if not isinstance(weight, Ref) or weight.name not in graph.tensors or len(graph.users[weight.name]) > 1:
        return False
    return fan_in(node, graph.tensors[weight.name]) <= LARGEST


class Moment(NamedTuple):
    """Rows of a least squares problem that hold the mean of the first t steps.

    Attributes:
        weight: w_t.
        inputs: What arrives, with a column of ones, ``(G, rows, K + 1)``.
        given: The SNN's current that it leads to, ``(G, rows, outputs)``.
        wanted: The ANN's, of the same shape.
    """

    weight: float
    inputs: Tensor
    given: Tensor
    wanted: Tensor

    def where(self, rows: Tensor) -> Moment:
        """Some of the rows."""
        index = rows.nonzero().flatten()
        return Moment(self.weight, self.inputs[:, index], self.given[:, index], self.wanted[:, index])


class System:
    """The rows of one layer's least squares problem, gathered batch by batch.

    The means over all steps are taken from every sample, those over the first 1, 2, 4, ... steps from every sample
    in turn, so that all of them together are as many.

    Args:
        node: The layer.
        weight: Its weight.
        axis: Channel axis of its output.
        share: Of the positions that become rows.
        generator: Chooses them.
    """

    def __init__(self, node: Node, weight: Tensor, axis: int, share: float, generator: torch.Generator) -> None:
        self.patches, self.axis, self.share, self.generator = Patches(node, weight), axis, share, generator
        self.rows: dict[int, list[tuple[Tensor, ...]]] = {}
        self.samples = 0

    def add(self, inputs: Tensor, wanted: Tensor, given: Tensor) -> None:
        """A batch.

        Args:
            inputs: What arrives at the layer in each step, ``(T, N, ...)``.
            wanted: The ANN's current ``(N, ...)`` that it leads to.
            given: The SNN's, ``(T, N, ...)``.
        """
        total, n = len(inputs), len(wanted)
        number = self.samples + torch.arange(n, device=wanted.device)
        self.samples += n
        z = self._outputs(wanted)
        length = z.shape[1]
        keep = torch.rand(length, generator=self.generator) < self.share
        keep[torch.randint(length, (1,), generator=self.generator)] = True
        index = keep.nonzero().flatten().to(wanted.device)
        early = [2**k for k in range(total.bit_length()) if 2**k < total]
        for k, t in enumerate([total, *early]):
            # A sample's turn does not depend on whether it is held back.
            turn = number >= 0 if t == total else number // HELD_BACK % len(early) == k - 1
            if not bool(turn.any()):
                continue
            these = slice(None) if t == total else turn
            x = self.patches.of(summed(inputs[:t, these], 0) / t, index).flatten(0, 1)
            s = self._outputs(summed(given[:t, these], 0) / t)[:, index].flatten(0, 1)
            held = (number[turn] % HELD_BACK == 0).repeat_interleave(len(index))
            self.rows.setdefault(t, []).append((x, s, z[turn][:, index].flatten(0, 1), held))

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
        fit, judge, whole = [], [], []
        total = max(self.rows)
        for t, parts in self.rows.items():
            x, s, z, held = (torch.cat(part) for part in zip(*parts, strict=True))
            rows = [part.transpose(0, 1) for part in (torch.cat([x, torch.ones_like(x[..., :1])], -1), s, z)]
            moment = Moment(1.0 if t == total else EVENNESS * (t / total) ** 2, *rows)
            alone = bool(held.all()) or not bool(held.any())  # too few samples to hold any back
            fit.append(moment.where(~held | alone))
            judge.append(moment.where(held | alone))
            whole.append(moment)
        fitted, judged = Problem(fit, rectified, None), Problem(judge, rectified, cap)
        changes = fitted.at_once()
        errors = [judged.error(change) for change in changes]
        sums = [float(error.sum()) for error in errors[-len(STRENGTHS) :]]
        strength = STRENGTHS[sums.index(min(sums))]
        changes += fitted.in_turns(changes, strength)
        errors += [judged.error(change) for change in changes[len(errors) :]]
        if sum(moment.inputs.shape[1] for moment in fit) < FEW * changes[0].shape[1]:
            everything = Problem(whole, rectified, None)
            changes = everything.at_once()
            changes += everything.in_turns(changes, strength)
        best = torch.stack(errors).argmin(0)
        chosen = torch.stack(changes).gather(0, best[None, :, None].expand(1, *changes[0].shape))[0]
        return self.patches.as_weight(chosen[:, :-1]), chosen[:, -1].reshape(-1)


class Problem:
    """Least squares over several moments.

    Args:
        moments: The rows.
        rectified: Whether a target is missing where neither it nor the current is positive.
        cap: Upper bound of what counts.
    """

    def __init__(self, moments: list[Moment], rectified: bool, cap: float | None) -> None:
        self.moments, self.rectified, self.cap = moments, rectified, cap

    def nothing(self) -> Tensor:
        """No change, ``(G, K + 1, outputs)``."""
        first = self.moments[0]
        return first.wanted.new_zeros(first.wanted.shape[0], first.inputs.shape[-1], first.wanted.shape[-1])

    def at_once(self) -> list[Tensor]:
        """No change, one of the bias alone, and one for each λ."""
        nothing = self.nothing()
        missing = self.missing(nothing)
        return [nothing, *(self.solution(missing, number) for number in (torch.inf, *STRENGTHS))]

    def in_turns(self, changes: list[Tensor], strength: float) -> list[Tensor]:
        """That of this λ in turns with what is then missing, as that depends on what there is."""
        change, found = changes[STRENGTHS.index(strength) - len(STRENGTHS)], []
        for _ in range(SWEEPS if self.rectified else 0):
            change = self.solution(self.missing(change), strength)
            found.append(change)
        return found

    def error(self, change: Tensor) -> Tensor:
        """Sum of squares of each output, ``(G, outputs)``."""
        found = torch.zeros_like(change[:, 0])
        for moment in self.moments:
            pair = moment.given + moment.inputs @ change, moment.wanted
            now, wanted = (x.clamp(min=0, max=self.cap) for x in pair) if self.rectified else pair
            found = found + moment.weight * (now - wanted).square().sum(1)
        return found

    def missing(self, change: Tensor) -> Tensor:
        """The right side of the normal equations: what inputs and missing currents have in common."""
        right = torch.zeros((), dtype=torch.double, device=change.device)
        for moment in self.moments:
            missing = moment.wanted - moment.given
            if self.rectified:
                now = moment.inputs @ change
                missing = torch.where((moment.wanted > 0) | (moment.given + now > 0), missing, now)
            right = right + moment.weight * (moment.inputs.transpose(1, 2) @ missing).double()
        return right

    def solution(self, missing: Tensor, strength: float) -> Tensor:
        """The change for λ = ``strength`` times the inputs' mean square; infinite: of the bias alone."""
        free = 1 if strength == torch.inf else missing.shape[1]
        penalty = torch.full((missing.shape[1],), strength, dtype=torch.double, device=missing.device)
        penalty[-1] = 0  # the bias is free
        ridge = torch.diag_embed((penalty[-free:] + 1e-9) * self._scale[:, None])
        factor = torch.linalg.cholesky(self._gram[:, -free:, -free:] + ridge)
        change = self.nothing()
        change[:, -free:] = torch.cholesky_solve(missing[:, -free:], factor).float()
        return change

    @cached_property
    def _gram(self) -> Tensor:
        return torch.stack([m.weight * (m.inputs.transpose(1, 2) @ m.inputs).double() for m in self.moments]).sum(0)

    @cached_property
    def _scale(self) -> Tensor:
        return self._gram.diagonal(dim1=1, dim2=2)[:, :-1].mean(1).clamp(min=1e-12)


def response(node: Node, x: Tensor, change: Tensor, bias: Tensor | None) -> Tensor:
    """What a change of weight and bias adds to the layer's output ``(T, N, ...)``."""
    flat = x.flatten(0, 1)
    added: Tensor = function(node.op)(flat, change.to(x), bias, *node.args[3:], **node.kwargs)
    return added.reshape(*x.shape[:2], *added.shape[1:])
