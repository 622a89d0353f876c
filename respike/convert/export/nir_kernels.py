"""Convolutions in the forms that all readers of NIR take: dense, square, with the same padding on both sides."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..graph import Node
from ..graph.channel_groups import layer_groups


class NotInNirError(Exception):
    """NIR cannot say this; the arguments are why, and what to do."""


@dataclass(frozen=True)
class Kernel:
    """A convolution.

    Attributes:
        weight: ``(C_out, C_in, ...)``.
        stride: For each axis.
        padding: Zeros before and behind each axis.
        dilation: For each axis.
    """

    weight: Tensor
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


def kernel_of(node: Node, weight: Tensor) -> Kernel:
    """The convolution that a node is, with its groups spread to dense weights.

    Args:
        node: Of the graph.
        weight: ``(C_out, C_in per group, ...)``.
    """
    rank = weight.dim() - 2
    stride, padding, dilation = [*node.args[3:6], *[None] * 3][:3]
    dilations = _each(dilation, rank, 1)
    if isinstance(padding, str):
        totals = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, weight.shape[2:], strict=True)]
        pads = tuple((t // 2, t - t // 2) for t in totals)
    else:
        pads = tuple((p, p) for p in _each(padding, rank, 0))
    return Kernel(dense(weight, layer_groups(node)), _each(stride, rank, 1), pads, dilations)


def dense(weight: Tensor, groups: int) -> Tensor:
    """The weights of a grouped convolution among those of an ordinary one, zeros between them."""
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    if groups * weight.numel() > 2**28:
        raise NotInNirError(
            f"has {groups} groups, whose weights would be {groups * weight.numel():,} numbers without groups, and "
            "readers of NIR take no groups",
            "use fewer channels or an ordinary convolution in its place",
        )
    made = weight.new_zeros(len(weight), inputs * groups, *weight.shape[2:])
    for i in range(groups):
        rows, columns = (slice(i * n, (i + 1) * n) for n in (outputs, inputs))
        made[rows, columns] = weight[rows]
    return made


def squared(kernel: Kernel, size: tuple[int, ...], out: tuple[int, ...]) -> Kernel:
    """The same convolution with as many weights along each axis, and padding alike before and behind.

    NIR's shapes are those of square kernels. Rows of zeros, and the padding that makes up for them, change nothing; but
    not every kernel can be made square so.

    Args:
        kernel: Any.
        size: Of the input, for each axis.
        out: Of the output.
    """
    sides = kernel.weight.shape[2:]
    even = all(before == behind for before, behind in kernel.padding)
    if even and len(set(sides)) == 1:
        return kernel
    for side in range(max(sides), max(sides) + 3):
        ways = [
            [
                (before, pads[0] + before * d)
                for before in range(side - k + 1)
                if (n + 2 * (pads[0] + before * d) - d * (side - 1) - 1) // s + 1 == m
            ]
            for k, n, m, s, d, pads in zip(
                sides, size, out, kernel.stride, kernel.dilation, kernel.padding, strict=True
            )
        ]
        if all(ways):
            chosen = [way[len(way) // 2] for way in ways]
            margins = [(before, side - k - before) for k, (before, _) in zip(sides, chosen, strict=True)]
            flat = list(itertools.chain.from_iterable(reversed(margins)))
            return replace(
                kernel,
                weight=torch.nn.functional.pad(kernel.weight, flat),
                padding=tuple((pad, pad) for _, pad in chosen),
            )
    raise NotInNirError(
        f"has a kernel of {' x '.join(map(str, sides))} that cannot be written as a square one",
        "use kernels with sides that are all odd or all even",
    )


def _each(value: Any, rank: int, otherwise: int) -> tuple[int, ...]:
    found = [otherwise] if value is None else [value] if isinstance(value, int) else list(value)
    return tuple(found * rank if len(found) == 1 else found)
