"""What each position of a layer's output sees of its input, and how weights lie in that order."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...graph import Node, layer_groups

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

        Of those K the channels lie side by side for each place of the kernel.

        Args:
            x: The input.
            index: Which of the output's positions, ``(L,)``.
        """
        if not self.rank:
            return x.reshape(len(x), -1, 1, x.shape[-1])[:, index]
        x = x.unsqueeze(2) if self.rank == 1 else x
        if self.transposed:
            x = self._stuffed(x)
        else:
            x = F.pad(x, (self.padding[1], self.padding[1], self.padding[0], self.padding[0]))
        places, pixels = self._places(index, x.shape[3]), x.flatten(2)
        if len(places) < pixels.shape[2]:
            found = pixels[:, :, places].transpose(1, 2)
        else:  # all channels of a pixel lie side by side, and are read at once
            found = pixels.transpose(1, 2).contiguous()[:, places]
        found = found.unflatten(2, (self.groups, -1)).unflatten(1, (len(index), -1))  # (N, L, kernel, G, channels)
        patches: Tensor = found.transpose(2, 3).flatten(3)
        return patches

    def _places(self, index: Tensor, width: int) -> Tensor:
        """Which pixels the windows of these positions see, position by position, in a padded image of this width."""
        stride = (1, 1) if self.transposed else self.stride
        columns = (width - self.dilation[1] * (self.kernel[1] - 1) - 1) // stride[1] + 1
        corner = index // columns * stride[0] * width + index % columns * stride[1]
        down, right = (
            torch.arange(0, d * k, d, device=index.device) for d, k in zip(self.dilation, self.kernel, strict=True)
        )
        return (corner[:, None] + (down[:, None] * width + right).flatten()).flatten()

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
        if not self.rank:
            return matrices[0].T
        # (G, outputs, channels, *kernel)
        kernels: Tensor = matrices.unflatten(1, (*self.weight.shape[2:], -1)).movedim((-1, -2), (1, 2))
        if not self.transposed:
            return kernels.flatten(0, 1)
        return kernels.transpose(1, 2).flatten(0, 1).flip(list(range(2, self.weight.dim())))

    def _pair(self, value: Any, neutral: int) -> tuple[int, int]:
        """As ``F.unfold`` takes it; a convolution over one axis is one over two, the first of length one."""
        numbers = [value] * self.rank if isinstance(value, int) else list(value)
        numbers = numbers * self.rank if len(numbers) == 1 else numbers
        return (numbers[0], numbers[1]) if self.rank == 2 else (neutral, numbers[0])


def _argument(node: Node, index: int, default: Any) -> Any:
    return node.args[index] if len(node.args) > index else default
