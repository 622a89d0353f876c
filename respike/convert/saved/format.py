"""What writer and reader of the format agree on."""

from __future__ import annotations

from typing import Final

VERSION: Final = 5
"""Of the format: raised by whatever makes an older reader read something else than what was written, or nothing.

All versions up to it are read. 2: the T that thresholds were chosen for, which 1 takes to be the T of ``snn(x)``.
3: without the choices of a budget and of a precision. 4: neurons may have a floor.
5: inputs may move, and may be encoded.
"""
WEIGHTS, NEURONS = "weights.", "neurons."
"""What the names of tensors begin with, as in the ``state_dict``."""
DTYPES = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"})
"""What tensors may hold, in the words of safetensors."""
