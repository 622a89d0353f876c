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

import torch
from torch import Tensor

from .graph import Graph, Node, Ref, function
from .patches import OPS, Patches

POSITIONS = 16384
"""Rows that a layer's system is made of, about: what it takes does not grow with the number of samples."""
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""λ in units of the inputs' mean square."""
EVENNESS = 1.0
"""Weight of all the early means together; that of the whole sum is 1."""
SWEEPS = 4
HELD_BACK = 4
"""One sample in so many judges λ and is not fitted."""

_SUMS = ("aten.add.Tensor",)


def menders(graph: Graph, current: str) -> list[Node]:
    """The layers whose weights can mend a current: each is a summand of it, or it, and nobody else reads them."""
    node = graph.node(current)
    if node is None or not _read_once(node, graph):
        return []
    if _repairs(node, graph):
        return [node]
    summands = [a.name for a in node.args if isinstance(a, Ref)] if node.op in _SUMS else []
    return [found for name in summands for found in menders(graph, name)]


def _read_once(node: Node, graph: Graph) -> bool:
    return len(graph.users.get(node.name, [])) + graph.output_names().count(node.name) == 1


def _repairs(node: Node, graph: Graph) -> bool:
    """Whether it is a linear layer or a convolution with weights of its own."""
    weight = node.args[1] if node.op in OPS else None
    return isinstance(weight, Ref) and weight.name in graph.tensors and len(graph.users[weight.name]) == 1


def early(values: Tensor) -> list[Tensor]:
    """Means over the first t steps of ``(T, N, ...)``: t = T first, then the powers of two below it."""
    total = len(values)
    return [values[:t].mean(0) for t in (total, *_moments(total))]


def _moments(total: int) -> list[int]:
    return [2**k for k in range(total.bit_length()) if 2**k < total]


class System:
    """The rows of one layer's least squares problem, gathered batch by batch.

    Args:
        node: The layer.
        weight: Its weight.
        axis: Channel axis of its output.
        share: Of the positions that become rows.
        generator: Chooses them.
    """

    def __init__(self, node: Node, weight: Tensor, axis: int, share: float, generator: torch.Generator) -> None:
        self.patches, self.axis, self.share, self.generator = Patches(node, weight), axis, share, generator
        self.rows: list[list[Tensor]] = []  # of each moment: what arrives, and the current it gives in the SNN
        self.wanted: list[Tensor] = []
        self.held: list[Tensor] = []
        self.total = 1

    def add(self, inputs: Tensor, wanted: Tensor, given: Tensor) -> None:
        """A batch.

        Args:
            inputs: What arrives at the layer in each step, ``(T, N, ...)``.
            wanted: The ANN's current ``(N, ...)`` that it leads to.
            given: The SNN's, ``(T, N, ...)``.
        """
        self.total = len(inputs)
        groups, n = self.patches.groups, len(wanted)
        z = wanted.movedim(self.axis, -1).reshape(n, -1, groups, wanted.shape[self.axis] // groups)
        length = z.shape[1]
        keep = torch.rand(length, generator=self.generator) < self.share
        keep[torch.randint(length, (1,), generator=self.generator)] = True
        index = keep.nonzero().flatten().to(wanted.device)
        rows = []
        for x, s in zip(early(inputs), early(given), strict=True):
            s = s.movedim(self.axis, -1).reshape(z.shape)
            rows += [self.patches.of(x)[:, index].flatten(0, 1), s[:, index].flatten(0, 1)]
        self.rows.append(rows)
        self.wanted.append(z[:, index].flatten(0, 1))
        self.held.append((torch.arange(n, device=index.device) % HELD_BACK == 0).repeat_interleave(len(index)))

    def solve(self, rectified: bool, cap: float | None) -> tuple[Tensor, Tensor]:
        """The change of weight and bias with the least error on the samples held back; none where it only does harm.

        Args:
            rectified: Whether a ReLU follows, so that only positive currents count.
            cap: Upper bound of the ReLU.
        """
        held = torch.cat(self.held)
        fit, judge = (~held).nonzero().flatten(), held.nonzero().flatten()
        if not len(fit) or not len(judge):
            fit = judge = torch.arange(len(held), device=held.device)
        z = torch.cat(self.wanted).transpose(0, 1)  # (G, rows, outputs)
        joined = [torch.cat(part).transpose(0, 1) for part in zip(*self.rows, strict=True)]
        weights = [1.0] + [EVENNESS * (t / self.total) ** 2 / len(_moments(self.total)) for t in _moments(self.total)]
        moments = []  # scaled so that plain sums of squares are the weighted ones
        for w, x, s in zip(weights, joined[::2], joined[1::2], strict=True):
            moments.append((w, torch.cat([x, torch.ones_like(x[..., :1])], -1), s))
        problem = Problem([(w, a[:, fit], s[:, fit]) for w, a, s in moments], z[:, fit], rectified)

        def error(change: Tensor) -> Tensor:
            """Of each output, ``(G, outputs)``."""
            found = torch.zeros_like(z[:, 0])
            for w, a, s in moments:
                now, wanted = s[:, judge] + a[:, judge] @ change, z[:, judge]
                if rectified:
                    now, wanted = now.clamp(min=0, max=cap), wanted.clamp(min=0, max=cap)
                found = found + w * (now - wanted).square().mean(1)
            return found

        best = z.new_zeros(z.shape[0], moments[0][1].shape[-1], z.shape[-1])
        least = error(best)
        for strength in (torch.inf, *STRENGTHS):
            change = problem.solution(strength)
            found = error(change)
            best = torch.where((found < least).unsqueeze(1), change, best)
            least = torch.minimum(found, least)
        return self.patches.as_weight(best[:, :-1]), best[:, -1].reshape(-1)


class Problem:
    """Least squares with some targets missing.

    Args:
        moments: Weight, inputs ``(G, rows, K + 1)`` with a column of ones, currents ``(G, rows, outputs)``.
        wanted: ``(G, rows, outputs)``.
        rectified: Whether a target is missing where neither it nor the current is positive.
    """

    def __init__(self, moments: list[tuple[float, Tensor, Tensor]], wanted: Tensor, rectified: bool) -> None:
        self.moments, self.wanted, self.rectified = moments, wanted, rectified
        self.gram = torch.stack([w * (a.transpose(1, 2) @ a).double() for w, a, _ in moments]).sum(0)
        self.scale = self.gram.diagonal(dim1=1, dim2=2)[:, :-1].mean(1).clamp(min=1e-12)

    def solution(self, strength: float) -> Tensor:
        """The change ``(G, K + 1, outputs)`` for λ = ``strength`` times the inputs' mean square; infinite: the bias."""
        k = self.gram.shape[-1]
        free = 1 if strength == torch.inf else k
        penalty = torch.full((k,), 0.0 if strength == torch.inf else strength, dtype=torch.double)
        penalty[-1] = 0  # the bias is free
        ridge = (penalty + 1e-9).to(self.gram.device) * self.scale[:, None]
        factor = torch.linalg.cholesky((self.gram + torch.diag_embed(ridge))[:, -free:, -free:])
        change = self.wanted.new_zeros(self.wanted.shape[0], k, self.wanted.shape[-1])
        for _ in range(SWEEPS if self.rectified else 1):
            right = torch.zeros((), dtype=torch.double, device=change.device)
            for w, a, s in self.moments:
                missing = self.wanted - s
                if self.rectified:
                    now = a @ change
                    missing = torch.where((self.wanted > 0) | (s + now > 0), missing, now)
                right = right + w * (a[..., -free:].transpose(1, 2) @ missing).double()
            change[:, -free:] = torch.cholesky_solve(right, factor).float()
        return change


def response(node: Node, x: Tensor, change: Tensor) -> Tensor:
    """What a change of weight adds to the layer's output ``(T, N, ...)``."""
    flat = x.flatten(0, 1)
    added: Tensor = function(node.op)(flat, change.to(x), None, *node.args[3:], **node.kwargs)
    return added.reshape(*x.shape[:2], *added.shape[1:])
