"""What surrounds a call and must not change its result, nor be changed by it: autocast, types, gradients, chance."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from .thread_pool import own_threads

_KINDS = ("cpu", "cuda", "mps", "xpu")


class _Default:
    """PyTorch's default type, which is float32 while any call of ours lasts: the default is one for all threads."""

    def __init__(self) -> None:
        self.lock, self.calls, self.kept = threading.Lock(), 0, torch.float32

    def enter(self) -> None:
        with self.lock:
            if self.calls == 0:
                self.kept = torch.get_default_dtype()
                _make_default(torch.float32)
            self.calls += 1

    def leave(self) -> None:
        with self.lock:
            self.calls -= 1
            if self.calls == 0:
                _make_default(self.kept)

    def forked(self) -> None:
        """In a child process, where no other thread is left that could hold the lock."""
        self.lock = threading.Lock()


def _make_default(kind: torch.dtype) -> None:
    if torch.get_default_dtype() != kind:
        torch.set_default_dtype(kind)


_DEFAULT = _Default()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_DEFAULT.forked)


@contextmanager
def in_own_types() -> Iterator[None]:
    """Compute in the types that tensors have, new ones in float32, whatever the caller's autocast and default type.

    Threads of a pool know nothing of autocast.
    """
    with ExitStack() as stack:
        _DEFAULT.enter()
        stack.callback(_DEFAULT.leave)
        for kind in _KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


class Inference(torch.no_grad):
    """No gradients and our own types, for functions and generators: each part of a generator by itself."""

    def __enter__(self) -> None:
        super().__enter__()
        own_threads()
        self._types = in_own_types()
        self._types.__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self._types.__exit__(exc_type, exc_value, traceback)
        super().__exit__(exc_type, exc_value, traceback)


@contextmanager
def undisturbed() -> Iterator[None]:
    """The same result whatever autocast and the default type are, and global random numbers as if nothing had been.

    User code that draws, a data set's augmentation or a loader that shuffles, draws what it would, and again next time.
    """
    held = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    own_threads()
    try:
        with in_own_types():
            yield
    finally:
        torch.random.set_rng_state(held[0])
        np.random.set_state(held[1])
        random.setstate(held[2])
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
