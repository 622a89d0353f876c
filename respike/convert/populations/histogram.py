"""How often each value occurs, in memory of fixed size and in whole numbers, so that the order does not matter."""

from __future__ import annotations

import torch
from torch import Tensor

BITS = 6
"""Each power of two has 2**BITS bins, all as wide: a value is known to less than one part in so many."""
LOW, HIGH = -40, 40
"""Powers of two: what is smaller than the first counts as 0, what is larger than the second as that."""
BINS = (HIGH - LOW) * 2**BITS
SMALL = 2.0**-8
"""Values below this share of the root mean square are one point."""


class Histogram:
    """Counts of the values of a tensor, of either sign.

    >>> counts = Histogram()
    >>> counts.add(torch.tensor([1.0, 1.001, -2.0]))
    >>> counts.points()[1]
    tensor([1., 2.], dtype=torch.float64)

    Attributes:
        counts: ``(2, BINS + 1)``: of values from 0 on, and below; the first bin of each row is that of 0.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self.counts = torch.zeros(2, BINS + 1, dtype=torch.int64, device=device)

    def add(self, values: Tensor) -> None:
        """Count the values, of any shape; they must be finite."""
        x = values.detach().flatten().float()
        size = x.abs()
        # The bits of a float32 behind its sign are exponent and mantissa: cut off, they count bins.
        bins = (size.view(torch.int32) >> (23 - BITS)).long() - ((LOW + 127) << BITS) + 1
        bins = bins.clamp(0, BINS) + (BINS + 1) * (x < 0)
        self.counts += torch.bincount(bins, minlength=2 * (BINS + 1)).view(2, -1)

    def merge(self, other: Histogram) -> None:
        """Count as well what another one has counted."""
        self.counts += other.counts.to(self.counts.device)

    def points(self) -> tuple[Tensor, Tensor]:
        """The values that occur, the middles of their bins in order, and how often, both ``(n,)`` in float64."""
        place = torch.arange(BINS, dtype=torch.float64)
        power = torch.exp2(torch.div(place, 2**BITS, rounding_mode="floor") + LOW)
        middle = power * (1 + (place % 2**BITS + 0.5) / 2**BITS)
        middle = torch.cat([torch.zeros(1, dtype=torch.float64), middle])
        values, counts = torch.stack([middle, -middle]), self.counts.cpu().double()
        small = SMALL * float(((counts * values.square()).sum() / counts.sum().clamp(min=1)).sqrt())
        values = torch.where(values.abs() < small, 0.0, values)
        found, which = values[counts > 0].unique(return_inverse=True)
        return found, torch.zeros_like(found).index_add_(0, which, counts[counts > 0])
