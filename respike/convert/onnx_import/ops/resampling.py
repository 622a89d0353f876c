"""Resampling one axis or several: PyTorch's own operation where it is the same, else one matrix an axis."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)


@dataclass(frozen=True)
class Mode:
    """How values between pixels are found.

    Attributes:
        kind: ``nearest``, ``linear`` or ``cubic``.
        coordinate: How a pixel of the result is placed in the input.
        nearest: Which of two neighbours is the nearest.
        cubic: The coefficient a of cubic interpolation.
        exclude: Whether weights outside the input are dropped and the others scaled to 1.
        outside: The value outside the input for ``tf_crop_and_resize``.
        antialias: Whether the filter widens when the result is smaller.
    """

    kind: str
    coordinate: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude: bool = False
    outside: float = 0.0
    antialias: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis to resample: lengths before and after, scale, and the region of ``tf_crop_and_resize``."""

    before: int
    after: int
    scale: float
    start: float = 0.0
    end: float = 1.0


def _place(i: Any, axis: Axis, coordinate: str) -> Any:
    """Where pixel ``i`` of the result lies in the input."""
    # In float32 as in the runtimes, since halfway between two pixels the last bit decides.
    kind = np.asarray(i).dtype.type
    n, m, scale = axis.before, kind(axis.after), kind(np.float32(axis.scale))
    # The corners that are aligned are those of the result. Where a scale makes 13.5 pixels of 9, the standard's own
    # reference puts the last corner at 12.5; PyTorch, which writes such files, and onnxruntime put it at 12.
    if coordinate == "align_corners":
        return i * (n - 1) / (m - 1) if m > 1 else i * 0.0
    if coordinate == "asymmetric":
        return i / scale
    if coordinate == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if coordinate == "tf_crop_and_resize":
        first, last = axis.start * (n - 1), axis.end * (n - 1)
        return first + i * (last - first) / (m - 1) if m > 1 else (first + last) / 2 + i * 0.0
    if coordinate == "pytorch_half_pixel" and axis.after <= 1:
        return i * 0.0
    if coordinate == "half_pixel_symmetric":
        # The fraction of a pixel that rounding the length away cost goes to both sides alike.
        shift = kind(n / 2) * (1 - m / (kind(n) * scale))
        return shift + (i + 0.5) / scale - 0.5
    return (i + 0.5) / scale - 0.5


def _nearest(places: Any, how: str) -> Any:
    """Places rounded to pixels; what lies halfway between two but for float32's rounding does lie halfway."""
    x = np.asarray(places, dtype=np.float64)
    low = np.floor(x)
    if how == "floor":
        return low
    if how == "ceil":
        return np.ceil(x)
    tie = np.abs(x - low - 0.5) < 1e-6
    return np.where(tie, low + (how == "round_prefer_ceil"), np.floor(x + 0.5))


def _pixels(axis: Axis, mode: Mode) -> Any:
    """The nearest pixel of the input for each of the result."""
    i = np.arange(axis.after, dtype=np.float32)
    places = _place(i, axis, mode.coordinate)
    if mode.coordinate == "half_pixel_symmetric" and mode.nearest in ("floor", "ceil"):
        exact = _place(i.astype(np.float64), axis, mode.coordinate)
        if ((np.abs(exact - np.round(exact)) < 1e-5) & (exact != places)).any():
            raise ValueError(
                f"half_pixel_symmetric with nearest_mode = {mode.nearest!r} falls on the edge between two pixels, "
                "where rounding errors decide and runtimes differ"
            )
    found = _nearest(places, mode.nearest)
    return np.clip(found, 0, axis.before - 1).astype(int)


def _kernel(distance: Any, kind: str, a: float) -> Any:
    """The weight of a pixel at that distance (Keys 1981 for the cubic one)."""
    d = np.abs(distance)
    if kind == "linear":
        return np.maximum(0.0, 1.0 - d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def length_of(length: int, scale: float) -> float:
    """A scaled length, before it is rounded down: a product in float32, as exporters and runtimes have it."""
    return float(np.float32(length) * np.float32(scale))


@functools.lru_cache(maxsize=64)
def matrix(axis: Axis, mode: Mode) -> Any:
    """Weights (after, before) of every pixel of the input for every one of the result."""
    if axis.before * axis.after > 2**24:
        raise ValueError(
            f"resampling {axis.before} pixels to {axis.after} in the mode {mode.coordinate!r} is too large"
        )
    places = _place(np.arange(axis.after, dtype=np.float32), axis, mode.coordinate)
    found = np.zeros((axis.after, axis.before))
    rows = np.arange(axis.after)
    if mode.kind == "nearest":
        found[rows, _pixels(axis, mode)] = 1.0
        return found
    # A filter that widens covers as many pixels of the input as one pixel of the result does.
    narrow = min(axis.scale, 1.0) if mode.antialias else 1.0
    reach = math.ceil((1 if mode.kind == "linear" else 2) / narrow)
    base = np.floor(places)
    offsets = np.arange(-reach + 1, reach + 1)
    pixels = base[:, None] + offsets[None]
    weights = _kernel((pixels - places[:, None]) * narrow, mode.kind, mode.cubic)
    inside = (pixels >= 0) & (pixels < axis.before)
    if mode.exclude:
        weights = np.where(inside, weights, 0.0)
    if not weights.sum(1).all():
        raise ValueError("a pixel of the result lies outside the input, where exclude_outside leaves nothing")
    weights = weights / weights.sum(1, keepdims=True)
    np.add.at(found, (rows[:, None], np.clip(pixels, 0, axis.before - 1).astype(int)), weights)
    return found


def is_identity(axis: Axis, mode: Mode) -> bool:
    """Whether every pixel stays where it is."""
    if axis.before != axis.after:
        return False
    plain = mode.coordinate == "align_corners" or axis.scale == 1
    if plain and mode.coordinate != "tf_crop_and_resize":
        return True
    return bool(np.array_equal(matrix(axis, mode), np.eye(axis.before)))


def resample(x: Tensor, axes: dict[int, Axis], mode: Mode) -> Tensor:
    """Resample the axes; the same value comes from PyTorch's own operation where there is one."""
    if mode.coordinate != "tf_crop_and_resize":  # which may blank pixels that it leaves where they are
        axes = {a: axis for a, axis in axes.items() if not is_identity(axis, mode)}
    own = _own_mode(x, axes, mode)
    if own is not None:
        size = [axes[a].after if a in axes else x.shape[a] for a in range(2, x.dim())]
        return F.interpolate(x, size=size, mode=own, align_corners=_aligned(own, mode))
    if not x.is_floating_point() and mode.kind != "nearest":
        raise ValueError("whole numbers cannot be interpolated; cast them to float first")
    y = x
    for a, axis in axes.items():
        if mode.kind == "nearest":
            places = torch.from_numpy(matrix(axis, mode).argmax(1)).to(x.device)
            y = y.index_select(a, places)
        else:
            weights = torch.from_numpy(matrix(axis, mode)).to(x.dtype).to(x.device)
            y = torch.matmul(y.movedim(a, -1), weights.t()).movedim(-1, a)
    return _blank_outside(y, axes, mode)


def _own_mode(x: Tensor, axes: dict[int, Axis], mode: Mode) -> str | None:
    """The name of PyTorch's own operation for it, if there is one."""
    space = x.dim() - 2
    exact = mode.coordinate == "align_corners" or all(
        axis.after == length_of(axis.before, axis.scale) for axis in axes.values()
    )
    if not x.is_floating_point() or mode.antialias or not exact or not 1 <= space <= 3 or any(a < 2 for a in axes):
        return None
    if mode.kind == "nearest":
        whole = all(axis.after % axis.before == 0 for axis in axes.values())
        floor = mode.coordinate == "asymmetric" and mode.nearest == "floor"
        # A whole factor repeats pixels, whichever way half pixels are rounded.
        halves = mode.coordinate in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
        return "nearest" if floor or (whole and halves and mode.nearest.startswith("round")) else None
    centres = mode.coordinate in ("half_pixel", "half_pixel_symmetric") or (
        mode.coordinate == "pytorch_half_pixel" and all(axis.after > 1 for axis in axes.values())
    )
    if not centres and mode.coordinate != "align_corners":
        return None
    if mode.kind == "linear":
        return ("linear", "bilinear", "trilinear")[space - 1]
    return "bicubic" if space == 2 and mode.cubic == -0.75 and not mode.exclude else None


def _aligned(own: str, mode: Mode) -> bool | None:
    return None if own == "nearest" else mode.coordinate == "align_corners"


def _blank_outside(y: Tensor, axes: dict[int, Axis], mode: Mode) -> Tensor:
    """What ``tf_crop_and_resize`` takes from outside the input is one fixed value."""
    if mode.coordinate != "tf_crop_and_resize":
        return y
    for a, axis in axes.items():
        places = _place(np.arange(axis.after, dtype=np.float32), axis, mode.coordinate)
        outside = torch.from_numpy((places < 0) | (places > axis.before - 1)).to(y.device)
        y = y.masked_fill(outside.reshape(-1, *[1] * (y.dim() - 1 - a)), mode.outside)
    return y
