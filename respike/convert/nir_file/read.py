"""Reads a NIR file in a process of its own, because HDF5 itself runs in circles, or crashes, on some broken files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from ...text import shown
from ..errors import FormatError
from . import limits
from .child import REFUSED
from .contents import NirFile, h5py
from .message import unpacked

_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from respike.convert.nir_file.child import main; main(sys.argv[2])"
)
_WAITING: Final = 6
"""Seconds of the clock for each of the processor that the read may take: machines are busy."""


def read(path: Path) -> NirFile:
    """What a file holds. Of nodes that ``contents.FIELDS`` does not know the type alone.

    Raises:
        FormatError: it is no NIR file, is damaged, or asks for more than ``limits`` allow.
        ConversionError: h5py is not installed.
    """
    h5py()
    if not path.is_file():
        raise FormatError("it is not a regular file" if path.exists() else "there is no such file")
    size = path.stat().st_size
    if not 0 < size <= limits.FILE_BYTES:
        raise FormatError(f"it has {size:,} bytes; networks have from 1 to {limits.FILE_BYTES:,}")
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _PROGRAM,
                json.dumps([entry for entry in sys.path if isinstance(entry, str)]),
                str(path.resolve()),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_WAITING * limits.seconds(size),
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FormatError(f"it is damaged: HDF5 does not come to an end with it ({_wait(size)})") from None
    except OSError as error:
        raise FormatError(f"the process that reads it cannot be started: {error.strerror}") from error
    if done.returncode == REFUSED:
        raise FormatError(done.stdout.decode("utf-8", errors="replace"))
    if done.returncode:
        last = done.stderr.decode("utf-8", errors="replace").strip().split("\n")[-1]
        why = f": {shown(last, 200)}" if last else f" ({_wait(size)}, or a crash of HDF5)"
        raise FormatError(f"it is damaged, and reading it was broken off{why}")
    return unpacked(done.stdout)


def _wait(size: int) -> str:
    return f"{limits.seconds(size)} seconds of the processor at most"
