"""What surrounds a call and must not change its result, nor be changed by it: autocast, types, gradients, chance."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from .thread_pool import own_threads

_KINDS = ("cpu", "cuda", "mps", "xpu")
V = TypeVar("V")


class _Ours(Generic[V]):
    """A setting of PyTorch's that is one for all threads, and has our value while any call of ours lasts."""

    def __init__(self, ours: V, read: Callable[[], V], write: Callable[[V], Any]) -> None:
        self.ours, self.read, self.write = ours, read, write
        self.lock, self.calls, self.kept = threading.Lock(), 0, ours

    def enter(self) -> None:
        with self.lock:
            if self.calls == 0:
                self.kept = self.read()
                self._set(self.ours)
            self.calls += 1

    def leave(self) -> None:
        with self.lock:
            self.calls -= 1
            if self.calls == 0:
                self._set(self.kept)

    def _set(self, value: V) -> None:
        if self.read() != value:
            self.write(value)

    def forked(self) -> None:
        """In a child process, where no other thread is left that could hold the lock."""
        self.lock = threading.Lock()


_DEFAULT_TYPE = _Ours(torch.float32, torch.get_default_dtype, torch.set_default_dtype)
# Without oneDNN, PyTorch convolves 16 images or more with NNPACK, by Fourier and Winograd transforms. These round even
# sums of whole numbers, round others up to 60 times as much, and turn infinities into NaN. A neuron at its threshold
# would fire or not depending on how many images are in the batch.
_NNPACK = _Ours(False, torch._C._get_nnpack_enabled, torch._C._set_nnpack_enabled)
_ALL = (_DEFAULT_TYPE, _NNPACK)
if hasattr(os, "register_at_fork"):
    for _setting in _ALL:
        os.register_at_fork(after_in_child=_setting.forked)


@contextmanager
def in_own_types() -> Iterator[None]:
    """Compute in the types that tensors have, new ones in float32, whatever the caller's autocast and default type.

    Threads of a pool know nothing of autocast. Convolutions are plain sums of products, without NNPACK.
    """
    with ExitStack() as stack:
        for setting in _ALL:
            setting.enter()
            stack.callback(setting.leave)
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
