"""What surrounds a call and must not change its result, nor be changed by it: autocast, gradients, random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from .parallel import own_threads

_KINDS = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute in the types that tensors have, as threads of a pool do, which know nothing of the caller's autocast."""
    with ExitStack() as stack:
        for kind in _KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


class Inference(torch.no_grad):
    """No gradients and no autocast, for functions and generators: each part of a generator by itself."""

    def __enter__(self) -> None:
        super().__enter__()
        own_threads()
        self._autocast = without_autocast()
        self._autocast.__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self._autocast.__exit__(exc_type, exc_value, traceback)
        super().__exit__(exc_type, exc_value, traceback)


@contextmanager
def undisturbed() -> Iterator[None]:
    """The same result under autocast as outside, and the global random numbers go on as if nothing had been here.

    User code that draws, a data set's augmentation or a loader that shuffles, draws what it would, and again next time.
    """
    held = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    own_threads()
    try:
        with without_autocast():
            yield
    finally:
        torch.random.set_rng_state(held[0])
        np.random.set_state(held[1])
        random.setstate(held[2])
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
