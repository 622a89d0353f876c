"""A command of respike in processes that can be killed: one, or the ranks of one group."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # as the command has it among several processes
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["torch", "torch.distributed", "torchvision", "respike.cli", "respike.evaluation", "respike.training"]
)
PAUSE = 0.02
"""Seconds between two looks at whether processes have ended."""


class Run:
    """One run of a command, begun.

    Args:
        arguments: Of ``respike``.
        ranks: Processes of one group; 1: one without a group.
        folder: Where they work.
        settings: Environment variables; ``CLOCK_BACK`` sets the clock back by so many seconds.
        torchrun: Whether ``torch.distributed.run`` starts them. Otherwise they are forked from a process that has
            imported everything, with the variables that ``torchrun`` would set, which is much quicker.
        log: Where ``out`` and ``err`` are written; None: in ``folder``.

    Attributes:
        workers: Numbers of the processes, by rank.
        since: When it began, by the clock of the system.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        ranks: int,
        folder: Path,
        settings: Mapping[str, str],
        torchrun: bool = False,
        log: Path | None = None,
    ) -> None:
        self.folder, self.ranks, self.since = folder, ranks, time.time()
        self.log = folder if log is None else log
        self.launcher: subprocess.Popen[bytes] | None = None
        self._forked: list[Any] = []
        for name in ("out", "err"):
            (self.log / name).unlink(missing_ok=True)
        if torchrun:
            self._launch(arguments, settings)
            return
        port = _free_port()
        for rank in range(ranks):
            group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1"}
            told = {name: str(value) for name, value in {**group, "MASTER_PORT": port}.items()} if ranks > 1 else {}
            process = SERVER.Process(target=_command, args=(list(arguments), folder, self.log, {**settings, **told}))
            process.start()
            self._forked.append(process)
        self.workers = [process.pid for process in self._forked]

    def _launch(self, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(self.ranks)]
        place = ["--master-addr", "127.0.0.1", "--master-port", str(_free_port())]
        with (self.log / "out").open("w") as out, (self.log / "err").open("w") as err:
            self.launcher = subprocess.Popen(
                [*start, *place, "-m", "respike", *arguments],
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env={**os.environ, **settings},
            )
        self.workers = []
        while len(self.workers) < self.ranks and self.launcher.poll() is None:
            time.sleep(PAUSE)
            children = psutil.Process(self.launcher.pid).children()
            ranks = {int(child.environ().get("RANK", -1)): child.pid for child in children if _has_rank(child)}
            self.workers = [ranks[rank] for rank in sorted(ranks)]

    def kill(self, rank: int, by: int = signal.SIGKILL) -> bool:
        """Send a signal to one; whether it was still there."""
        try:
            psutil.Process(self.workers[rank]).send_signal(by)
        except (psutil.NoSuchProcess, IndexError):
            return False
        return True

    def wait(self, seconds: float, but: int | None = None) -> bool:
        """Whether all have ended after so many seconds, but for the rank ``but``."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not any(_runs(process) for rank, process in enumerate(self._watched()) if rank != but):
                return True
            time.sleep(PAUSE)
        return False

    def _watched(self) -> list[int]:
        return [*self.workers, *([] if self.launcher is None else [self.launcher.pid])]

    def codes(self) -> list[int | None]:
        """Exit codes of those that have ended: of ``torchrun``, or of each rank."""
        if self.launcher is not None:
            return [self.launcher.poll()]
        for process in self._forked:
            process.join(0.5)
        return [process.exitcode for process in self._forked]

    def end(self) -> None:
        """Kill what is left."""
        for process in self._watched():
            try:
                psutil.Process(process).kill()
            except psutil.NoSuchProcess:
                continue
        self.wait(10)
        for process in self._forked:
            process.join(5)
        if self.launcher is not None:
            self.launcher.wait()

    def text(self, name: str) -> str:
        """What was written to ``out`` or ``err``."""
        place = self.log / name
        return place.read_text(errors="replace") if place.exists() else ""


def _command(arguments: list[str], folder: Path, log: Path, settings: dict[str, str]) -> None:
    os.environ.update(settings)
    os.chdir(folder)
    if "CLOCK_BACK" in settings:
        _set_back(float(settings["CLOCK_BACK"]))
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["respike", *arguments]
    import torch

    from respike.cli import main

    torch.set_num_threads(1)
    main(arguments)


def _set_back(seconds: float) -> None:
    """For this process: two seconds from now the clock shows so much less."""
    right, begun = time.time, time.monotonic()
    time.time = lambda: right() - (seconds if time.monotonic() > begun + 2 else 0)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _has_rank(process: psutil.Process) -> bool:
    try:
        return "RANK" in process.environ()
    except psutil.Error:
        return False


def _runs(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
