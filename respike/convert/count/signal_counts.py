"""A value of a graph as counts: what of it is an event, what a current, what constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..graph import map_leaves


@dataclass(frozen=True)
class Counts:
    """A value as counts, each ``(1, ...)`` or a list of such: what of it is an event, a current, constant.

    Attributes:
        events: How many events arrive, with the gradient of their sources.
        current: 1 where an analog value that varies in time arrives, else 0.
        constant: 1 where the value is there, but constant.
    """

    events: Any
    current: Any
    constant: Any

    @property
    def ones(self) -> Any:
        """The value where nothing is told apart."""
        return map_leaves(torch.ones_like, self.constant)


def constant_counts(shaped: Any) -> Counts:
    ones = map_leaves(one_like, shaped)
    zeros = map_leaves(torch.zeros_like, ones)
    return Counts(zeros, zeros, ones)


def one_like(value: Any) -> Any:
    return torch.ones(value.shape, dtype=torch.float64) if isinstance(value, Tensor) else value


def all_ones(value: Any) -> Any:
    return value.ones if isinstance(value, Counts) else value


def part_of(name: str) -> Any:
    return lambda value: getattr(value, name) if isinstance(value, Counts) else value


def unit_weight(value: Any) -> Any:
    return torch.ones_like(value) if isinstance(value, Tensor) and value.dim() else value


def picked(x: Any, index: Any) -> Any:
    if not isinstance(x, Counts):
        return x[index] if isinstance(x, (list, tuple)) else x
    if not isinstance(x.constant, (list, tuple)):  # the first of several results, already taken
        return x
    return Counts(x.events[index], x.current[index], x.constant[index])
