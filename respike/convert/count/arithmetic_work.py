"""Arithmetic on values that are no spikes, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Operations on analog values, of one sample.

    Attributes:
        macs: Multiply-accumulates of synapses.
        additions: Additions, subtractions and comparisons beside them.
        multiplications: Multiplications beside them.
        values: Sums that synapses give, each written once.
    """

    macs: int = 0
    additions: int = 0
    multiplications: int = 0
    values: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.macs + other.macs,
            self.additions + other.additions,
            self.multiplications + other.multiplications,
            self.values + other.values,
        )

    def times(self, count: int) -> Work:
        """The same done so many times."""
        return Work(count * self.macs, count * self.additions, count * self.multiplications, count * self.values)
