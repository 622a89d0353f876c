"""Where compiled kernels are kept, so that only the first process compiles them: in the user's cache folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """The folder; the environment variable ``NUMBA_CACHE_DIR`` names another one."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "respike"


def is_empty() -> bool:
    """Whether nothing has been compiled on this machine yet."""
    return next(folder().rglob("*.nbi"), None) is None


@contextmanager
def kept() -> Iterator[None]:
    """Functions that numba compiles with ``cache=True`` are kept in the folder if they are declared in this block.

    Where it cannot be written to, numba looks for another place. Functions of the user's own stay where they were.
    """
    from numba import config

    before = vars(config)["CACHE_DIR"]
    vars(config)["CACHE_DIR"] = str(folder())
    try:
        yield
    finally:
        vars(config)["CACHE_DIR"] = before
