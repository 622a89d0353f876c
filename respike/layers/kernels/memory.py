"""Memory that is used again, for what kernels write.

A system gives memory back and hands it out anew page by page, which may take several times as long as to fill it; and
whether the C library keeps what is freed depends on what else the process does. So the last buffers are kept here.
"""

from __future__ import annotations

import threading
import weakref
from math import prod

import numpy as np
import torch
from torch import Tensor

LEAST = 2**18
"""Bytes from which on memory is worth keeping."""
KEPT = 2**27
"""Most bytes that are kept while nobody uses them."""

_free: list[np.ndarray] = []
_lock = threading.Lock()


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """As ``torch.empty``; large ones in memory that was used before, if there is some of the size."""
    size = prod(shape) * dtype.itemsize
    if size < LEAST:
        return torch.empty(shape, dtype=dtype)
    base = _taken(size)
    seen = base[:size]  # as long as a tensor is in it, this one lives
    weakref.finalize(seen, _give_back, base).atexit = False
    found: Tensor = torch.from_numpy(seen).view(dtype).view(shape)
    return found


def _taken(size: int) -> np.ndarray:
    with _lock:
        for k in range(len(_free) - 1, -1, -1):
            if size <= len(_free[k]) <= 2 * size:
                return _free.pop(k)
    return np.empty(size, np.uint8)


def _give_back(base: np.ndarray) -> None:
    if not _lock.acquire(blocking=False):
        return  # the garbage collector may call this in a thread that holds the lock: rather not kept than never
    try:
        _free.append(base)
        total = sum(map(len, _free))
        while total > KEPT:
            total -= len(_free.pop(0))
    finally:
        _lock.release()


def forget() -> None:
    """Give all that nobody uses back to the system."""
    with _lock:
        _free.clear()
