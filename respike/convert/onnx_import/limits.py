"""How much a file may ask for. Each is far above what real networks need and far below what harms a machine."""

from __future__ import annotations

from typing import Final

FILE_BYTES: Final = 2**31
"""Of the ONNX file itself; Protocol Buffers end there anyway, larger weights lie in external files."""
DATA_BYTES: Final = 2**33
"""Of all weights together."""
NODES: Final = 6_000
"""Operations in the graph. The largest of torchvision's networks has about 1,500."""
ELEMENTS: Final = 2**28
"""Of one tensor, at the batch size that shapes are followed with."""
BATCH: Final = 2**12
"""Times ``ELEMENTS`` is what one tensor may have at the batch size that a file declares, if it needs none of it."""
FOLDED_ELEMENTS: Final = 2**25
"""Of all constants computed at import together, beyond eight times what the file's own weights have."""
AXES: Final = 32
"""Of one tensor."""
FOLDED_PRODUCTS: Final = 2**32
"""Multiplications and additions in one matrix product or convolution of constants."""
PROBE_PRODUCTS: Final = 2**36
"""Multiplications and additions for one sample of a network that is run at import, see ``rebatch``."""
PROBE_ELEMENTS: Final = 2**27
"""Of all its values together."""
INTS: Final = 4096
"""Numbers in one list: pads, axes, a shape."""
NAME_LENGTH: Final = 60
"""Characters of a submodule's name."""
