"""How much a file may ask for. Each is far above what real networks need and far below what harms a machine."""

from __future__ import annotations

from typing import Final

FILE_BYTES: Final = 2**35
"""Of the whole file. Weights are mapped, so what is not read takes no memory."""
TEXT: Final = 2**24
"""Characters of the graph. That of the largest of torchvision's networks has about 2^18."""
NODES: Final = 6_000
"""Operations in the graph."""
NAME: Final = 300
"""Characters of a name."""
STRING: Final = 1_000
"""Characters of any other string."""
ITEMS: Final = 4096
"""In one list of arguments."""
DEPTH: Final = 16
"""Lists within lists, in arguments and in the structure of inputs and outputs."""
JSON_DEPTH: Final = 4 * DEPTH + 8
"""Lists and objects in each other, in the whole graph; a structure takes up to four for each of its levels."""
AXES: Final = 32
"""Of one value."""
ELEMENTS: Final = 2**28
"""Of one value, per sample."""
ALL_ELEMENTS: Final = 2**32
"""Of all values together, per sample."""
WINDOW: Final = 2**16
"""Sides, strides, pads and factors of convolutions, pools, padding and resampling: some kernels count in 32 bits."""
TENSORS: Final = 2**17
"""Of all values together; an operation that cuts something up gives many."""
