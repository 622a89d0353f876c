"""Axes that a file names."""

from __future__ import annotations


def check_axis(axis: int, rank: int, end: bool = False) -> None:
    """Whether there is such an axis; ``end`` allows the place behind the last one.

    Raises:
        ValueError: there is none.
    """
    if not -rank <= axis < rank + end:
        raise ValueError(f"there is no axis {axis}")
