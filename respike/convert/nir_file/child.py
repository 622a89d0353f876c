"""The program that reads a file and dies with it, if it comes to that: run by ``read.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from ..errors import FormatError
from . import limits
from .hdf5 import contents
from .message import packed

REFUSED: Final = 3
"""Exit status if standard output is the reason why the file is refused."""


def main(path: str) -> None:
    """Write the file's graph to standard output."""
    file = Path(path)
    _limit(file.stat().st_size)
    try:
        message = packed(contents(file))
    except FormatError as error:
        sys.stdout.buffer.write(str(error).encode())
        sys.exit(REFUSED)
    sys.stdout.buffer.write(message)


def _limit(size: int) -> None:
    """Let the system end this process when it has taken more time or memory than any real file needs."""
    try:
        import resource
    except ImportError:  # Windows; there the clock alone ends it
        return
    memory = limits.MEMORY + 3 * limits.array_bytes(size)
    for kind, most in ((resource.RLIMIT_CPU, limits.seconds(size)), (resource.RLIMIT_AS, memory)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
