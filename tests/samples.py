"""A few cases of each kind in the quick suite, the rest with the marker ``slow``."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest


def one_in(every: int, cases: Iterable[Any]) -> list[Any]:
    """All cases; of each ``every`` that follow one another, all but the first are slow."""
    return [case if i % every == 0 else slow(case) for i, case in enumerate(cases)]


def quick_are(quick: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """All cases; those that are not among ``quick`` are slow."""
    listed = list(cases)
    assert all(case in listed for case in quick)
    return [case if case in quick else slow(case) for case in listed]


def one_of_each(every: int, cases: Iterable[Any], *others: Sequence[Any], seed: int = 0) -> list[Any]:
    """Each case with one value of each of the other arguments, drawn, as all together are too many; see ``one_in``."""
    draw = random.Random(seed)
    return one_in(every, [(case, *map(draw.choice, others)) for case in cases])


def slow(case: Any) -> Any:
    """One case with the marker; a tuple is that of several arguments."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
