"""Ridge repair: change a layer's weights a little, so that what arrives in the SNN gives what the ANN has there.

    W' = argmin ‖W'·x_snn − z_ann‖² + λ·‖W' − W‖²

in closed form through the Gram matrix of the layer's inputs, without gradients and labels. Only what a ReLU
lets pass counts: where neither the ANN's nor the SNN's current is positive, the target is what the layer
gives anyway (expectation and maximisation in turns, as for missing data).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .graph import Graph, Node, Ref, function

POSITIONS = 16384
"""Rows that a layer's system is made of, about."""
STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""λ in units of the inputs' mean square."""
SWEEPS = 4
HELD_BACK = 4
"""One sample in so many judges λ and is not fitted."""

_CONVOLUTIONS = {"aten.conv1d.default": 1, "aten.conv2d.default": 2}
_SUMS = ("aten.add.Tensor",)


def repairable(graph: Graph, current: str) -> Node | None:
    """The layer whose weights can mend a current: it gives it, alone or as a summand, and nobody else reads it."""
    node = graph.node(current)
    while node is not None and _read_once(node, graph):
        if _repairs(node, graph):
            return node
        if node.op not in _SUMS:
            return None
        before = [graph.node(a.name) for a in node.args if isinstance(a, Ref)]
        node = next((n for n in reversed(before) if n is not None and _leads(n, graph)), None)
    return None


def _read_once(node: Node, graph: Graph) -> bool:
    return len(graph.users.get(node.name, [])) + graph.output_names().count(node.name) == 1


def _leads(node: Node, graph: Graph) -> bool:
    return _read_once(node, graph) and (_repairs(node, graph) or node.op in _SUMS)


def _repairs(node: Node, graph: Graph) -> bool:
    """Whether it is a linear layer or a convolution with weights of its own."""
    if node.op != "aten.linear.default" and node.op not in _CONVOLUTIONS:
        return False
    weight = node.args[1]
    return isinstance(weight, Ref) and weight.name in graph.tensors and len(graph.users[weight.name]) == 1


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
        self.node, self.weight, self.axis, self.share, self.generator = node, weight, axis, share, generator
        self.groups = _argument(node, 6, 1) if node.op in _CONVOLUTIONS else 1
        self.rows: list[tuple[Tensor, ...]] = []

    def add(self, x: Tensor, wanted: Tensor, given: Tensor) -> None:
        """A batch: the layer's mean input, and the currents of ANN and SNN that it leads to."""
        inputs = self._patches(x)  # (N, L, G, K)
        n, length = inputs.shape[:2]
        keep = torch.rand(length, generator=self.generator) < self.share
        keep[torch.randint(length, (1,), generator=self.generator)] = True
        index = keep.nonzero().flatten().to(x.device)
        targets = [z.movedim(self.axis, -1).reshape(n, length, self.groups, -1)[:, index] for z in (wanted, given)]
        held = (torch.arange(n, device=x.device) % HELD_BACK == 0).reshape(n, 1).expand(n, len(index))
        self.rows.append((inputs[:, index].flatten(0, 1), *(t.flatten(0, 1) for t in targets), held.flatten()))

    def _patches(self, x: Tensor) -> Tensor:
        """What each position of the output sees, ``(N, L, G, K)``."""
        if self.node.op == "aten.linear.default":
            return x.reshape(len(x), -1, 1, x.shape[-1])
        rank = _CONVOLUTIONS[self.node.op]
        stride, padding, dilation = (_pair(_argument(self.node, i, d), rank, d) for i, d in ((3, 1), (4, 0), (5, 1)))
        kernel: Any = tuple(self.weight.shape[2:])
        if rank == 1:
            x, kernel = x.unsqueeze(2), (1, *kernel)
        flat: Tensor = F.unfold(x, kernel, dilation, padding, stride)
        patches: Tensor = flat.unflatten(1, (self.groups, -1)).permute(0, 3, 1, 2)
        return patches

    def solve(self, rectified: bool, cap: float | None) -> tuple[Tensor, Tensor]:
        """The change of weight and bias with the least error on the samples held back; none if it only does harm.

        Args:
            rectified: Whether a ReLU follows, so that only positive currents count.
            cap: Upper bound of the ReLU.
        """
        inputs, wanted, given, held = (torch.cat(part) for part in zip(*self.rows, strict=True))
        ones = torch.ones_like(inputs[..., :1])
        a = torch.cat([inputs, ones], -1).transpose(0, 1).double()  # (G, rows, K + 1)
        z, s = (t.transpose(0, 1).double() for t in (wanted, given))
        fit, judge = (~held).nonzero().flatten(), held.nonzero().flatten()
        if not len(fit) or not len(judge):
            fit = judge = torch.arange(len(held), device=held.device)
        gram = a[:, fit].transpose(1, 2) @ a[:, fit]
        scale = gram.diagonal(dim1=1, dim2=2)[:, :-1].mean(1).clamp(min=1e-12)

        def output(t: Tensor) -> Tensor:
            return t.clamp(min=0, max=cap) if rectified else t

        def error(change: Tensor) -> float:
            return float((output(s[:, judge] + a[:, judge] @ change) - output(z[:, judge])).square().mean())

        best = a.new_zeros(a.shape[0], a.shape[-1], z.shape[-1])
        least = error(best)
        for strength in (torch.inf, *STRENGTHS):
            change = self._change(a[:, fit], z[:, fit], s[:, fit], gram, scale, strength, rectified)
            if (found := error(change)) < least:
                best, least = change, found
        weight = best[:, :-1].transpose(1, 2).reshape(self.weight.shape)
        return weight.float(), best[:, -1].reshape(-1).float()

    def _change(
        self, a: Tensor, z: Tensor, s: Tensor, gram: Tensor, scale: Tensor, strength: float, rectified: bool
    ) -> Tensor:
        k = gram.shape[-1]
        penalty = torch.ones(k, dtype=a.dtype, device=a.device)
        penalty[-1] = 1e-6  # the bias is free
        change = torch.zeros(a.shape[0], k, z.shape[-1], dtype=a.dtype, device=a.device)
        if strength == torch.inf:
            system, a = gram[:, -1:, -1:], a[..., -1:]
        else:
            system = gram + (strength * scale)[:, None, None] * torch.diag(penalty)
        factor = torch.linalg.cholesky(
            system + 1e-9 * scale[:, None, None] * torch.eye(system.shape[-1], device=a.device)
        )
        part = change[:, -a.shape[-1] :]
        for _ in range(SWEEPS if rectified else 1):
            now = a @ part
            missing = z - s
            if rectified:
                missing = torch.where((z > 0) | (s + now > 0), missing, now)
            part = torch.cholesky_solve(a.transpose(1, 2) @ missing, factor)
        change[:, -a.shape[-1] :] = part
        return change


def _argument(node: Node, index: int, default: Any) -> Any:
    return node.args[index] if len(node.args) > index else default


def _pair(value: Any, rank: int, neutral: int) -> tuple[int, int]:
    """As ``F.unfold`` takes it; a convolution over one axis is one over two, the first of length one."""
    numbers = [value] * rank if isinstance(value, int) else list(value) * (rank if len(value) == 1 else 1)
    return (numbers[0], numbers[1]) if rank == 2 else (neutral, numbers[0])


def response(node: Node, x: Tensor, change: Tensor) -> Tensor:
    """What a change of weight adds to the layer's output ``(T, N, ...)``."""
    flat = x.flatten(0, 1)
    added: Tensor = function(node.op)(flat, change.to(x), None, *node.args[3:], **node.kwargs)
    return added.reshape(*x.shape[:2], *added.shape[1:])
