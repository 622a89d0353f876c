"""What each position of a layer's output sees of its input, and how weights lie in that order."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..graph import Node, layer_groups

_CONVOLUTIONS = {"aten.conv1d.default": 1, "aten.conv2d.default": 2}
_TRANSPOSED = {"aten.conv_transpose1d.default": 1, "aten.conv_transpose2d.input": 2}
OPS = frozenset({"aten.linear.default", *_CONVOLUTIONS, *_TRANSPOSED})
"""Layers whose outputs are weights times patches."""


class Patches:
    """A linear layer or convolution as one matrix product: ``output[n, l, g] = patch[n, l, g] @ weight[g]``.

    Args:
        node: The layer; its operation is one of ``OPS``.
        weight: Its weight.
    """

    def __init__(self, node: Node, weight: Tensor) -> None:
        self.weight = weight
        self.rank = {**_CONVOLUTIONS, **_TRANSPOSED}.get(node.op, 0)
        self.transposed = node.op in _TRANSPOSED
        self.groups = layer_groups(node)
        if self.rank:
            # stride, padding, dilation, groups; transposed: stride, padding, output_padding, groups, dilation
            self.stride, self.padding = (self._pair(_argument(node, i, d), d) for i, d in ((3, 1), (4, 0)))
            self.dilation = self._pair(_argument(node, 7 if self.transposed else 5, 1), 1)
            self.extra = self._pair(_argument(node, 5, 0), 0) if self.transposed else (0, 0)
            self.kernel = self._pair(list(weight.shape[2:]), 1)

    def of(self, x: Tensor, index: Tensor) -> Tensor:
        """``(N, L, G, K)``: L positions, G groups of channels, K weights each, of an input ``(N, ...)``.

        Args:
            x: The input.
            index: Which of the output's positions, ``(L,)``.
        """
        if not self.rank:
            return x.reshape(len(x), -1, 1, x.shape[-1])[:, index]
        x = x.unsqueeze(2) if self.rank == 1 else x
        if self.transposed:
            x = self._stuffed(x)
        padding, stride = ((0, 0), (1, 1)) if self.transposed else (self.padding, self.stride)
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
        for axis, (size, apart, step) in enumerate(zip(self.kernel, self.dilation, stride, strict=True), 2):
            x = x.unfold(axis, apart * (size - 1) + 1, step)  # a view, as is the next
        windows = x[..., :: self.dilation[0], :: self.dilation[1]]  # (N, channels, *positions, *kernel)
        found = windows[:, :, index // windows.shape[3], index % windows.shape[3]]  # (N, channels, L, *kernel)
        patches: Tensor = found.transpose(1, 2).reshape(len(x), len(index), self.groups, -1)
        return patches

    def _stuffed(self, x: Tensor) -> Tensor:
        """A transposed convolution is one of stride 1 over the input with zeros between and around."""
        height, width = ((n - 1) * s + 1 for n, s in zip(x.shape[2:], self.stride, strict=True))
        spread = x.new_zeros(*x.shape[:2], height, width)
        spread[:, :, :: self.stride[0], :: self.stride[1]] = x
        around = [d * (k - 1) - p for d, k, p in zip(self.dilation, self.kernel, self.padding, strict=True)]
        (top, left), (low, right) = around, self.extra
        return F.pad(spread, (left, left + right, top, top + low))

    def as_weight(self, matrices: Tensor) -> Tensor:
        """The weight whose matrices ``(G, K, outputs of a group)`` these are."""
        rows = matrices.transpose(1, 2)  # (G, outputs, K)
        if not self.transposed:
            return rows.reshape(self.weight.shape)
        inputs = self.weight.shape[0] // self.groups
        kernels: Tensor = rows.unflatten(2, (inputs, *self.weight.shape[2:])).transpose(1, 2).flatten(0, 1)
        return kernels.flip(list(range(2, kernels.dim())))

    def _pair(self, value: Any, neutral: int) -> tuple[int, int]:
        """As ``F.unfold`` takes it; a convolution over one axis is one over two, the first of length one."""
        numbers = [value] * self.rank if isinstance(value, int) else list(value)
        numbers = numbers * self.rank if len(numbers) == 1 else numbers
        return (numbers[0], numbers[1]) if self.rank == 2 else (neutral, numbers[0])


def _argument(node: Node, index: int, default: Any) -> Any:
    return node.args[index] if len(node.args) > index else default
