"""Numbers in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def percent(value: float | None, digits: int = 2) -> str:
    """A share in percent."""
    if value is None:
        return "–"
    rounded = round(100 * value, digits) + 0.0  # which makes a negative zero positive
    return f"{rounded:,.{digits}f} %".replace("-", "−")


def score(result: Mapping[str, Any], value: float | None) -> str:
    """A value of an evaluation's metric."""
    if value is None:
        return "–"
    return percent(value) if result["metric"] == "accuracy" else f"{value:.4g}"


def large(value: float) -> str:
    """A count of three digits and a word."""
    for unit, word in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if abs(value) >= unit:
            return f"{value / unit:.3g} {word}" if value / unit < 999.5 else f"{value / unit:,.0f} {word}"
    return f"{value:.3g}"


def energy(picojoules: float) -> str:
    """Of a sample, to four digits."""
    value = picojoules / 1e6
    digits = 3 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{max(digits, 0)}f} µJ"


def span(ends: Sequence[float]) -> str:
    """From the lowest to the highest."""
    low, high = ends[0], ends[-1]
    return f"{low:.4g}" if low == high else f"{low:.3g} – {high:.3g}"


def steps(count: int) -> str:
    """So many timesteps."""
    return "1 timestep" if count == 1 else f"{count} timesteps"
