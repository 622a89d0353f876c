"""What a file's float64 loses in float32, in which imported networks compute."""

from __future__ import annotations

from torch import Tensor

from ..errors import warn


def lost_in_float32(x: Tensor) -> str:
    """What numbers lose as float32, beyond its rounding of the last digit; ``""`` if nothing.

    Args:
        x: Numbers in float64.
    """
    near = x.float().double()
    infinite = near.isinf() & x.isfinite()
    if bool(infinite.any()):
        largest = float(x[infinite].abs().max())
        return f"{int(infinite.sum()):,} of its numbers become infinite there (the largest is {largest:.3g})"
    small = (near - x).abs() > x.abs() * 2.0**-24
    if bool(small.any()):
        least = float(x[small].abs().min())
        return f"{int(small.sum()):,} of its numbers lose digits or become 0 there (the smallest is {least:.3g})"
    return ""


def warn_of_float32(x: Tensor, what: str) -> bool:
    """Say what a tensor in float64 loses, if anything; returns whether there was something to say."""
    lost = lost_in_float32(x)
    if lost:
        warn(f"{what} is float64, respike computes in float32, and {lost}")
    return bool(lost)
