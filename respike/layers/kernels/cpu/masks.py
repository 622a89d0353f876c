"""Which inputs are not 0, as the bits of a number."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .gather_code import F32, I8, I64
from .parts import part

CHANNELS = 64
"""Inputs of a mask."""
LOOKED_AT = 16
"""Inputs that are compared with zero at once, at least: there have to be a multiple of this."""


def _masking(kind: Any, count: int, least: int = 1) -> Any:
    vector = ir.VectorType(kind, count)
    zeros, below = (ir.Constant(vector, [number] * count) for number in (0, least - 1))

    def mask(typingctx: Any, address: Any) -> Any:
        """Which of ``count`` numbers from an address on are not 0: bit k is that of the k-th.

        Of 8-bit numbers, which those are that are ``least`` or more, or negative.
        """

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            x = b.load(b.inttoptr(args[0], vector.as_pointer()), align=1)
            found = b.fcmp_unordered("!=", x, zeros) if kind == F32 else b.icmp_unsigned(">", x, below)  # NaN is not 0
            bits = b.bitcast(found, ir.IntType(count))
            return bits if count == CHANNELS else b.zext(bits, I64)

        return types.int64(types.int64), code

    return intrinsic(mask)


_reals, _bytes, _all_bytes = _masking(F32, LOOKED_AT), _masking(I8, LOOKED_AT), _masking(I8, CHANNELS)
_more, _all_more = _masking(I8, LOOKED_AT, 2), _masking(I8, CHANNELS, 2)


@part
def mask_of(inputs: Any, reals: Any, count: Any) -> Any:
    """The mask of up to ``CHANNELS`` inputs from an address on; ``reals``: None for inputs of 8 bits."""
    mask = np.int64(0)
    if reals is None:
        if count == CHANNELS:
            return _all_bytes(inputs)
        for k in range(0, count, LOOKED_AT):
            mask |= _bytes(inputs + k) << k
    else:
        for k in range(0, count, LOOKED_AT):
            mask |= _reals(inputs + 4 * k) << k
    return mask


@part
def more_of(inputs: Any, count: Any) -> Any:
    """The mask of those of up to ``CHANNELS`` inputs of 8 bits that are neither 0 nor 1."""
    if count == CHANNELS:
        return _all_more(inputs)
    mask = np.int64(0)
    for k in range(0, count, LOOKED_AT):
        mask |= _more(inputs + k) << k
    return mask
