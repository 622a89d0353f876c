"""How much a file may ask for. Each is far above what real networks need and far below what harms a machine."""

from __future__ import annotations

from typing import Final

FILE_BYTES: Final = 2**33
"""Of the whole file."""
FREE_BYTES: Final = 2**28
"""That all arrays together may have, whatever the file's size: most of what IF nodes hold are ones and zeros."""
RATIO: Final = 64
"""Bytes of arrays beyond that for each byte of the file: compressed weights have a few, empty arrays any number."""
NODES: Final = 6_000
EDGES: Final = 4 * NODES
AXES: Final = 8
"""Of one array."""
STRING: Final = 300
"""Bytes of a name or of any other text."""
READ_AT_ONCE: Final = 2**26
"""Bytes that the texts of one read may have: each of them may be as long as the file."""
FIELDS: Final = 64
"""Of one node."""
SECONDS: Final = 10
"""Of the processor, for the read of a small file; a second more for each MiB."""
MEMORY: Final = 2**32
"""Bytes of the process that reads, beside three times its arrays."""


def array_bytes(size: int) -> int:
    """How many bytes the arrays of a file of so many bytes may have together."""
    return FREE_BYTES + RATIO * size


def seconds(size: int) -> int:
    """How long the read of a file of so many bytes may take."""
    return SECONDS + size // 2**20
