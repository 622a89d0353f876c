"""Resize and Upsample: from scales or sizes to the axes that change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..limits import ELEMENTS
from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op
from .resampling import COORDINATES, Axis, Mode, is_identity, length_of, resample


def resize(
    x: Tensor,
    scales: Sequence[float] | None,
    sizes: Sequence[Any] | None,
    roi: Sequence[float] | None,
    mode: Mode,
    chosen: tuple[int, ...] | None,
    policy: str,
) -> Tensor:
    """By scales, or to sizes (None: as it is), along the chosen axes (all by default)."""
    names = [a % x.dim() for a in chosen] if chosen is not None else list(range(x.dim()))
    given = scales if scales is not None else sizes
    if mode.coordinate == "tf_crop_and_resize" and len(roi or ()) != 2 * len(names):
        raise ValueError(f"tf_crop_and_resize needs a roi of {2 * len(names)} numbers, got {len(roi or ())}")
    if given is None or len(given) != len(names) or len(set(names)) < len(names):
        raise ValueError(f"{0 if given is None else len(given)} scales or sizes for {len(names)} axes")
    factors = [1.0] * len(names) if scales is None else [float(s) for s in scales]
    if sizes is not None and policy != "stretch":
        ratios = [1.0 if m is None else m / x.shape[a] for a, m in zip(names, sizes, strict=True)]
        factors = [min(ratios) if policy == "not_larger" else max(ratios)] * len(names)
        sizes = [
            m if m is None else math.floor(factors[0] * x.shape[a] + 0.5) for a, m in zip(names, sizes, strict=True)
        ]
    axes: dict[int, Axis] = {}
    for i, a in enumerate(names):
        region = (roi[i], roi[i + len(names)]) if roi else (0.0, 1.0)
        if scales is not None and factors[i] == 1 and region == (0.0, 1.0):
            continue  # the batch's length stays a symbol
        n = x.shape[a]
        if sizes is not None and (sizes[i] is None or (not isinstance(n, int) and sizes[i] == n)):
            continue
        m = int(sizes[i]) if sizes is not None else math.floor(length_of(n, factors[i]))
        if not 0 < m <= ELEMENTS or not n:
            raise ValueError(f"an axis of length {n} becomes one of length {m}")
        scale = factors[i] if sizes is None or policy != "stretch" else m / n
        if (m, scale, region) != (n, 1.0, (0.0, 1.0)):
            axes[a] = Axis(n, m, scale, *region)
    _check_moves(axes, mode)
    return resample(x, axes, mode)


def _check_moves(axes: dict[int, Axis], mode: Mode) -> None:
    """A scale such as 1.1 moves the pixels of a short axis without adding one; onnxruntime leaves them then."""
    for a, axis in axes.items():
        if axis.scale == 1 and (axis.start, axis.end) != (0.0, 1.0):
            raise ValueError(
                f"axis {a} is cropped from {axis.start:g} to {axis.end:g} of its length with a scale of 1: the "
                "standard crops it, onnxruntime does not. Crop it by a Slice"
            )
    alone = mode.antialias or mode.coordinate == "tf_crop_and_resize"
    if not alone and any(axis.before != axis.after for axis in axes.values()):
        return
    for a, axis in axes.items():
        if axis.before == axis.after and not is_identity(axis, mode):
            raise ValueError(
                f"a scale of {axis.scale:g} leaves axis {a} at its length of {axis.before}: the standard moves the "
                "pixels all the same, onnxruntime does not. Use sizes, or a scale that changes the length"
            )


@onnx_op("Resize")
def _resize(node: Node) -> Call:
    if node.version < 11:
        coordinate, nearest, scales, sizes, roi = "asymmetric", "floor", node.numbers(1), None, None
    else:
        coordinate = node.attr_string("coordinate_transformation_mode", "half_pixel", *COORDINATES)
        nearest = node.attr_string(
            "nearest_mode", "round_prefer_floor", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"
        )
        scales, sizes = node.numbers(2) or None, node.numbers(3) or None
        if scales is not None and sizes is not None:
            raise NodeError("has both scales and sizes, which may contradict each other")
        roi = node.fixed(1) if coordinate == "tf_crop_and_resize" else None
    _check_scales(scales)
    mode = Mode(
        node.attr_string("mode", "nearest", "nearest", "linear", "cubic"),
        coordinate,
        nearest,
        node.attr_float("cubic_coeff_a", -0.75),
        node.attr_bool("exclude_outside"),
        node.attr_float("extrapolation_value", 0.0),
        node.attr_bool("antialias"),
    )
    policy = node.attr_string("keep_aspect_ratio_policy", "stretch", "stretch", "not_larger", "not_smaller")
    return node.call(resize, node.x(), scales, sizes, roi, mode, node.attr_ints("axes"), policy)


def _check_scales(scales: Any) -> None:
    if isinstance(scales, tuple) and not all(isinstance(s, float) and 1e-6 < s < 2**16 for s in scales):
        raise NodeError(f"has scales = {list(scales[:8])}, which should be positive numbers below {2**16}")


@onnx_op("Upsample")
def _upsample(node: Node) -> Call:
    kind = node.attr_string("mode", "nearest", "nearest", "linear", "bilinear")
    scales = node.attr_floats("scales") if node.version < 9 else node.numbers(1)
    _check_scales(scales)
    mode = Mode("linear" if kind == "bilinear" else kind, "asymmetric", "floor")
    return node.call(resize, node.x(), scales, None, None, mode, None, "stretch")
