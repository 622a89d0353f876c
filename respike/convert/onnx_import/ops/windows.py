"""Windows that slide: kernel, stride, dilation, and the four ways in which ONNX states padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..node_view import Node, NodeError

AUTO = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
MOST = 2**16
"""Largest pad, stride, dilation or kernel."""


@dataclass(frozen=True)
class Windows:
    """How a kernel slides.

    Attributes:
        kernel: Lengths per axis.
        stride: Steps per axis.
        dilation: Distances between the kernel's elements per axis.
        pads: Begins of all axes, then their ends.
        auto: ``NOTSET`` if ``pads`` holds; else they follow from the input's size.
        ceil: Whether a last window that is not full counts.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[int, ...]
    auto: str = "NOTSET"
    ceil: bool = False

    def padding(self, lengths: Sequence[int]) -> list[tuple[int, int]]:
        """Begin and end pad per axis, for an input of these lengths."""
        rank = len(self.kernel)
        if self.auto == "NOTSET":
            return list(zip(self.pads[:rank], self.pads[rank:], strict=True))
        if self.auto == "VALID":
            return [(0, 0)] * rank
        found = []
        for n, k, s, d in zip(lengths, self.kernel, self.stride, self.dilation, strict=True):
            total = (-(-n // s) - 1) * s + (k - 1) * d + 1 - n
            if total < (-1 if self.auto == "SAME_UPPER" else 0):
                raise ValueError(f"with a stride of {s}, auto_pad = {self.auto} would cut the input; runtimes differ")
            total = max(total, 0)
            small = total // 2
            found.append((small, total - small) if self.auto == "SAME_UPPER" else (total - small, small))
        return found

    def overhang(self, lengths: Sequence[int], padding: Sequence[tuple[int, int]]) -> list[int]:
        """What ``ceil`` adds at each end so that the last window is full; it must begin before the end pad."""
        found = []
        axes = zip(lengths, padding, self.kernel, self.stride, self.dilation, strict=True)
        for n, (begin, end), k, s, d in axes:
            span = (k - 1) * d + 1
            free = n + begin + end - span
            count = (-(-free // s) if self.ceil else free // s) + 1
            if self.ceil and (count - 1) * s >= n + begin:
                count -= 1
            found.append(max((count - 1) * s + span - (n + begin + end), 0))
        return found


def windows(node: Node, kernel: Sequence[int] | None = None) -> Windows:
    """The node's windows; ``kernel`` is the weight's, and must be what the node says if it does.

    Raises:
        NodeError: numbers that are missing, contradict each other or are out of range.
    """
    stated = node.attr_ints("kernel_shape")
    if stated is None and kernel is None:
        raise NodeError("lacks kernel_shape")
    if stated is not None and kernel is not None and tuple(kernel) != stated:
        raise NodeError(f"has kernel_shape = {list(stated)}, and its weight says {list(kernel)}")
    size = tuple(kernel if kernel is not None else stated or ())
    rank = len(size)
    if not 1 <= rank <= 3:
        raise NodeError(f"slides over {rank} axes; 1 to 3 are possible")
    stride = node.attr_ints("strides") or (1,) * rank
    dilation = node.attr_ints("dilations") or (1,) * rank
    pads = node.attr_ints("pads") or (0,) * (2 * rank)
    auto = node.attr_string("auto_pad", "NOTSET", *AUTO)
    for name, found, least, count in (
        ("kernel_shape", size, 1, rank),
        ("strides", stride, 1, rank),
        ("dilations", dilation, 1, rank),
        ("pads", pads, 0, 2 * rank),
    ):
        if len(found) != count or min(found) < least or max(found) > MOST:
            raise NodeError(f"has {name} = {list(found[:8])}; needed are {count} numbers from {least} to {MOST}")
    return Windows(size, stride, dilation, pads, auto, node.attr_bool("ceil_mode"))


def sides(padding: Sequence[tuple[int, int]]) -> list[int]:
    """The pads in the order that ``F.pad`` takes them: the last axis first."""
    return [n for begin_end in reversed(padding) for n in begin_end]
