"""What an operation takes: named models of energy, in picojoules, that anyone can replace."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...errors import InputError

WEIGHT_BITS = 8
"""Of the weights, and the input, of the quantised ANN."""


@dataclass(frozen=True)
class EnergyModel:
    """Energy of each kind of operation, in pJ.

    Attributes:
        name: What the report calls it.
        source: Where the numbers are from.
        numbers: What weights and values are, ``"float32"``.
        addition: Adding two numbers that are accumulated. A comparison, which is a subtraction, takes as much.
        multiplication: Multiplying a weight and a value.
        scaling: Multiplying an accumulated number by a constant: a leak, the mean of a pool, decoding.
        shift: Giving a weight the size of a spike that carries a power of two.
        bits: The bits of a weight and of a value, for traffic; accumulated numbers have 32.
        int32_addition: Of whole numbers of 32 bits, for the quantised ANN.
        int8_multiplication: Likewise of 8 bits; None: there is no quantised ANN to compare with.
        int32_multiplication: Likewise of 32 bits.
        memory: Reading or writing 32 bits; None: arithmetic alone is counted.

    Raises:
        ValueError: an energy that is negative or not finite, or an addition that costs nothing.
    """

    name: str
    source: str
    numbers: str
    addition: float
    multiplication: float
    scaling: float
    shift: float = 0.0
    bits: int = 32
    int32_addition: float | None = None
    int8_multiplication: float | None = None
    int32_multiplication: float | None = None
    memory: float | None = None

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            if isinstance(value, (int, float)) and not (math.isfinite(value) and value >= 0):
                raise InputError(f"{key} of the energy model {self.name!r} must be 0 or more (pJ), got {value!r}")
        if not self.addition:
            raise InputError(f"addition of the energy model {self.name!r} is 0 pJ: nothing could be compared with it")
        given = [self.int32_addition, self.int8_multiplication, self.int32_multiplication]
        if None in given and any(given):
            raise InputError(
                f"the energy model {self.name!r} needs all of int32_addition, int8_multiplication and "
                "int32_multiplication for the quantised ANN, or none of them"
            )

    @property
    def mac(self) -> float:
        """A multiply-accumulate, in pJ."""
        return self.multiplication + self.addition

    @property
    def has_integers(self) -> bool:
        """Whether there is a quantised ANN to compare with."""
        return bool(self.int8_multiplication)

    def integer_multiplication(self, bits: float) -> float:
        """Multiplying whole numbers of so many bits, in pJ.

        The power law through the energies at 8 and at 32 bits: a multiplier has one cell for each pair of bits, so the
        exponent is nearly 2 (1.98 at 45 nm). For factors of a and b bits take √(a·b).
        """
        small, large = self.int8_multiplication, self.int32_multiplication
        assert small and large
        return small * math.pow(bits / 8, math.log(large / small, 4))

    def integer_mac(self, bits: int) -> float:
        """A value of so many bits times a weight of ``WEIGHT_BITS``, added to 32 bits, in pJ."""
        assert self.int32_addition is not None
        return self.integer_multiplication(math.sqrt(bits * WEIGHT_BITS)) + self.int32_addition

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        return asdict(self)


HOROWITZ = "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014: 45 nm at 0.9 V"

ENERGY_45NM = EnergyModel(
    name="45 nm, float32",
    source=HOROWITZ,
    numbers="float32",
    addition=0.9,
    multiplication=3.7,
    scaling=3.7,
    shift=0.03,  # of a float: 8 bits added to its exponent
    int32_addition=0.1,
    int8_multiplication=0.2,
    int32_multiplication=3.1,
)
"""Arithmetic in float32: 0.9 pJ an addition, 4.6 pJ a multiply-accumulate. The usual numbers; memory is left out."""

ENERGY_45NM_INT8 = replace(
    ENERGY_45NM,
    name="45 nm, 8-bit weights",
    numbers="int8",
    addition=0.1,
    multiplication=0.2,
    scaling=3.1,
    shift=0.03,  # no shifter is in the source; taken as an 8-bit addition
    bits=8,
)
"""Weights and values of 8 bits, sums of 32: what a network of ``precision="int8"`` or ``quantised(8)`` may use."""

ENERGY_45NM_MEMORY = replace(
    ENERGY_45NM,
    name="45 nm, float32 and memory",
    memory=5.0,  # half of what 64 bits from 8 KB take
)
"""The same and 5 pJ for 32 bits to or from a memory of 8 KB, the smallest in the source; larger ones take more."""
