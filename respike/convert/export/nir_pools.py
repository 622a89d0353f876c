"""Averages over windows as sums and a factor, which the weights behind them take up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..graph import Node
from ..graph.rules import short
from .nir_kernels import Kernel, NotInNirError, dense, squared
from .nir_writing import Signal, Writing


@dataclass(frozen=True)
class Windows:
    """What is summed, along each axis, and what the sums are multiplied by."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    factor: float


def pool_axes(node: Node) -> int:
    """Over how many axes a pool goes, by its name."""
    return int(short(node.op)[-2])


def pool_windows(node: Node, sides: tuple[int, ...]) -> Windows:
    """The windows of an average-pool.

    Args:
        node: Of the graph.
        sides: Of what it reads.
    """
    rank, size = len(sides), node.args[1]
    if short(node.op).startswith("adaptive"):
        wanted = _each(size, rank)
        if any(n % m for n, m in zip(sides, wanted, strict=True)):
            raise NotInNirError("has windows of several sizes", "use output sizes that divide the input's")
        kernel = tuple(n // m for n, m in zip(sides, wanted, strict=True))
        return Windows(kernel, kernel, (0,) * rank, 1 / math.prod(kernel))
    _, _, stride, padding, _, counted, divisor = [*node.args, *[None] * 6][:7]
    kernel, pads = _each(size, rank), _each(padding or 0, rank)
    if any(pads) and counted is False and divisor is None:
        raise NotInNirError("has windows of several sizes at the border", "use count_include_pad=True")
    return Windows(kernel, _each(stride, rank) if stride else kernel, pads, 1 / (divisor or math.prod(kernel)))


def window_sums(writing: Writing, name: str, signal: Signal, windows: Windows, out: tuple[int, ...]) -> Signal:
    """The sums over windows. Readers know them in two dimensions and without padding; else they are a convolution.

    Args:
        writing: Where they are written.
        name: Of the node.
        signal: ``(C, ...)``.
        windows: For each axis behind the channels.
        out: The sides of the output.
    """
    kernel, stride, padding = windows.kernel, windows.stride, windows.padding
    sides = zip(signal.shape[1:], kernel, stride, padding, strict=True)
    if tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sides) != out:
        raise NotInNirError("rounds its output's size up", "use ceil_mode=False")
    channels = signal.shape[0]
    if len(kernel) == 2 and not any(padding):
        fields = {"kernel_size": kernel, "stride": stride, "padding": padding}
        arrays = {key: np.array(value, dtype=np.int64) for key, value in fields.items()}
        made = writing.node(name, "SumPool2d", signal.sources, dict(arrays))
        return Signal((made,), (channels, *out), signal.factor * windows.factor)
    weight = torch.full((channels, 1, *kernel), windows.factor, dtype=torch.float64)
    summing = Kernel(dense(weight, channels), stride, tuple((p, p) for p in padding), (1,) * len(kernel))
    return writing.convolution(name, signal, squared(summing, signal.shape[1:], out), None, out, channels)


def _each(value: Any, rank: int) -> tuple[int, ...]:
    found = [value] if isinstance(value, int) else list(value)
    return tuple(found * rank if len(found) == 1 else found)
