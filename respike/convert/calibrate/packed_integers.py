"""Small whole numbers in as few bits as they need."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..options import NeuronOptions


class Packing(NamedTuple):
    """How spikes are packed.

    Attributes:
        bits: Of one number: 1, 2, 4 or 8.
        lowest: The smallest number, stored as 0.
    """

    bits: int
    lowest: int

    @property
    def largest(self) -> int:
        """The largest absolute number that is packed, at most."""
        return max(-self.lowest, (1 << self.bits) - 1 + self.lowest)

    def width(self, count: int) -> int:
        """Bytes that so many numbers take."""
        return -(-count * self.bits // 8)

    def pack(self, values: Tensor) -> Tensor:
        """Whole numbers ``(..., count)``, int8, as bytes ``(..., width)``.

        The first numbers of all bytes come first, then the second ones: so each is a plain copy of a stretch.
        """
        found = (values - self.lowest if self.lowest else values).view(torch.uint8)
        if self.bits == 8:
            return found
        each, width = 8 // self.bits, self.width(values.shape[-1])
        planes = F.pad(found, (0, each * width - values.shape[-1])).unflatten(-1, (each, width))
        packed: Tensor = planes[..., 0, :].clone()
        for k in range(1, each):
            packed |= planes[..., k, :] << k * self.bits
        return packed

    def unpack(self, packed: Tensor, count: int) -> Tensor:
        """The numbers again, int8."""
        if self.bits < 8:
            each = 8 // self.bits
            planes = packed.new_empty(*packed.shape[:-1], each, packed.shape[-1])
            for k in range(each):
                torch.bitwise_and(packed >> k * self.bits, 2**self.bits - 1, out=planes[..., k, :])
            packed = planes.flatten(-2)[..., :count]
        found = packed.view(torch.int8)
        return found + self.lowest if self.lowest else found


def packing_of(options: NeuronOptions) -> Packing | None:
    """For what such neurons send in a step, in units of their smallest spike; None if a byte does not hold it."""
    largest = round(options.max_spikes / options.finest)
    lowest = -largest if options.takes_back else 0
    if largest > 127:
        return None
    return Packing(next(bits for bits in (1, 2, 4, 8) if largest - lowest < 2**bits), lowest)
