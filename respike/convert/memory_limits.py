"""How much memory calibration and runs may take."""

from __future__ import annotations

import ctypes
import sys

import psutil
import torch

from ..layers.kernels import memory
from ..ranks import here

SHARE = 0.25
"""Of what is free when the run begins."""
PIECE = 128 * 2**20
"""Bytes that are worked on at once on one core, at most.

With half of it small networks take a tenth to a fifth longer, as each layer is called twice as often; with more, what
dense layers write is out of the caches before it is read.
"""
WEIGHTS = 3
"""Or so many times those of the weights, if these are more: they are read anew for each piece."""
CALIBRATION = 2 * 2**30
"""Most bytes that calibration and the networks it makes take unless its user says otherwise, whatever is free."""
LEAST = 2**29
"""So many of them are for calibration, however large the networks are."""


def budget(device: torch.device) -> int:
    """A quarter of the free memory of a device, in bytes."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return int(SHARE * free)


def calibration_budget(given: int | None, device: torch.device, networks: int = 0) -> int:
    """The bytes that are given, for each process.

    None: a quarter of the free memory of a device, at most ``CALIBRATION`` less what the networks take that are made.
    Processes that share a device's memory share that quarter; all of them take what the one with the least may take.
    """
    if given is not None:
        return given
    ranks = here()
    free = min(ranks.gathered(lambda: budget(device) // (ranks.beside if device.type == "cpu" else 1)))
    return min(free, max(LEAST, CALIBRATION - networks))


def calibration_piece(total: int, device: torch.device) -> int:
    """Bytes for what calibration has under way at once, of those given for all of it."""
    return min(PIECE, total // 8) if device.type == "cpu" else total // 8


def room(given: int | None, device: torch.device, workers: int, weights: int = 0) -> int:
    """Bytes for what one of several workers has under way.

    Args:
        given: Those for all of them; None: a quarter of what is free.
        device: Where they work.
        workers: How many.
        weights: Bytes of the network's weights.
    """
    total = budget(device) if given is None else given
    return max(1, min(max(PIECE, WEIGHTS * weights), total // workers) if device.type == "cpu" else total)


def give_back() -> None:
    """Give freed memory back to the system, where kernels or the C library would keep it: half a GiB after VGG-16."""
    memory.forget()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # only glibc has it
    if trim is not None:
        trim(0)
