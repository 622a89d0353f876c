"""Work on several parts of a batch at once, one core each.

A network does not mix samples, so each thread takes some of them through all layers and all
timesteps, and what it works on stays in its own core's cache. Splitting each operation over all cores instead would
send everything through memory, once for each operation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier, local
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Item = TypeVar("Item")
Result = TypeVar("Result")


_OF_THIS_THREAD = local()


def worker_count() -> int:
    """How many threads share the work that this one does a part of, itself counted."""
    workers: int = getattr(_OF_THIS_THREAD, "workers", 1)
    return workers


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="respike")
    before = torch.get_num_threads()
    together = Barrier(workers)

    def settle(_: int) -> None:
        _OF_THIS_THREAD.workers = workers
        torch.set_num_threads(1)  # of this thread: torch keeps a number for each
        together.wait()  # so that each thread does it, not one of them for all

    list(pool.map(settle, range(workers)))
    torch.set_num_threads(before)
    return pool


_PROCESS: list[int] = []
"""The process that has computed last, with this copy of the library."""


def own_threads() -> None:
    """In a process forked from one that has computed, begin with one thread; called before anything is computed.

    A child has none of its parent's threads, ours or those of OpenMP, and would wait for them for ever. As a
    ``DataLoader`` does, it computes with one; ``torch.set_num_threads`` gives it more.
    """
    if [os.getpid()] != _PROCESS:
        if _PROCESS:
            _pool.cache_clear()
            torch.set_num_threads(1)
        _PROCESS[:] = [os.getpid()]


def cut(tree: Any, piece: slice) -> Any:
    """The same tree with a piece of every tensor that has a batch axis."""
    return pytree.tree_map(lambda x: x[piece] if isinstance(x, Tensor) and x.dim() else x, tree)


def map_pieces(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """``work`` of each item, in their order."""
    return map(work, items) if workers < 2 else _pool(workers).map(torch.no_grad()(work), items)
