"""The command line under ``torchrun``: several processes work on one command, and the first one speaks.

What they exchange lies on the CPU and is sent by gloo, whatever they compute on; see ``respike.ranks``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any, TextIO

SHARED = frozenset({"convert", "evaluate", "diagnose", "finetune", "report"})
"""Commands that all processes work on; others are done by the first one."""
_STORE: list[Any] = []
"""Where the processes of this command have met, if they have."""
_VOICE: list[TextIO] = []
"""What stderr is, in a process that is silent."""


def _number(name: str, default: int) -> int:
    given = os.environ.get(name, "")
    return int(given) if given.isdecimal() else default


def launched() -> bool:
    """Whether ``torchrun``, or a launcher that sets the same variables, has started several processes."""
    return "RANK" in os.environ and _number("WORLD_SIZE", 1) > 1


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return not launched() or _number("RANK", 0) == 0


@contextmanager
def one_voice() -> Iterator[None]:
    """All processes but the first one print nothing: no results, no progress, no warnings."""
    if launched():  # before torch is imported, which has lines of its own, with stacks, on connections that broke
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    if is_first():
        yield
        return
    _VOICE[:] = [sys.stderr]
    with open(os.devnull, "r+") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def together(command: str) -> Iterator[None]:
    """One group of all processes, as long as this command runs; of one that is not shared, the others leave at once.

    Raises:
        RankError: the processes cannot meet.
    """
    if not launched():
        yield
        return
    if command not in SHARED:
        if not is_first():
            sys.exit(0)
        yield
        return
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from ..ranks import RankError, patience

    wait = timedelta(seconds=patience())
    store = None
    try:
        store, rank, size = next(rendezvous("env://", timeout=wait))
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=wait)
    except (RuntimeError, ValueError) as error:
        rank, reason = _number("RANK", 0), str(error).strip().splitlines()[0]
        # Rank 0 holds the store. If that was reached, rank 0 tells what is wrong, and otherwise rank 1 does.
        told = rank > (store is None)
        raise RankError(f"rank {rank} cannot meet the other processes: {reason}", told) from error
    _STORE[:] = [store]
    try:
        yield
    finally:
        dist.destroy_process_group()


def tells(error: Exception) -> bool:
    """Whether it is this process that tells the user of an error, which several processes may have found.

    Of what is wrong with another process, a ``RankError`` says whether it is told. Of other errors the first one that
    asks tells; before they have met, one process on each machine tells what is wrong there.
    """
    if not launched():
        return True
    from ..ranks import RankError

    if isinstance(error, RankError):  # nobody is asked: the process that holds the store may be the one that hangs
        chosen = not error.told
    elif _STORE:
        chosen = _claimed()
    else:
        chosen = _number("LOCAL_RANK", 0) == 0
    if chosen and _VOICE:
        sys.stderr = _VOICE[0]
    return chosen


def _claimed() -> bool:
    try:
        return bool(_STORE[0].add("respike has told", 1) == 1)
    except RuntimeError:  # the process that held the store has found the same error, has told it and has ended
        return False
