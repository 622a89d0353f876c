"""Functions of a test, run by several processes of one group."""

from __future__ import annotations

import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

WAIT = 120.0
"""Seconds after which a process counts as lost."""


def run(work: Callable[..., Any], size: int, folder: Path, *args: Any, backend: str = "gloo") -> list[Any]:
    """What ``work(*args)`` gives in each of the processes, in the order of their ranks; an exception is given too.

    Args:
        work: A function of a module, so that other processes find it.
        size: How many processes.
        folder: An empty one, where they meet and leave what they found.
        args: For each of them the same.
        backend: Of the group.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "respike", "respike.evaluation", "launch"])
    at = [folder / f"rank{rank}" for rank in range(size)]
    processes = [
        context.Process(target=_one, args=(work, rank, size, str(folder / "meet"), str(at[rank]), args, backend))
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(WAIT)
    lost = [k for k, process in enumerate(processes) if process.is_alive()]
    for process in processes:
        process.kill()
        process.join()
    assert not lost, f"ranks {lost} did not end"
    found = [pickle.loads(path.read_bytes()) if path.exists() else None for path in at]
    for path in (*at, folder / "meet"):
        path.unlink(missing_ok=True)
    return found


def _one(
    work: Callable[..., Any], rank: int, size: int, meet: str, path: str, args: tuple[Any, ...], backend: str
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        backend, init_method=f"file://{meet}", rank=rank, world_size=size, timeout=timedelta(seconds=WAIT)
    )
    try:
        found = work(*args)
    except Exception as error:
        traceback.print_exc()
        found = error
    Path(path).write_bytes(pickle.dumps(found))
    dist.destroy_process_group()
