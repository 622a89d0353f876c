"""A disk that is full, a folder that is read-only, a clock that is set back: what is said, and what is kept.

    sudo python scripts/faults/disks.py
    sudo python scripts/faults/disks.py --work finetune

Each case runs a command with ``--resume`` in a small file system in memory (tmpfs), which root alone may mount. It is

    full at once    full before the work begins
    full later      full when the work has been noted for the first time
    read-only       mounted so that nobody may write
    clock           as it should be; two seconds after its beginning the clock is set back by an hour

Where the command fails, it must say so in one error; when the cause is gone, the same command must give the result of a
run that nobody disturbed, and nothing may lie beside it. The exit code is 1 if any of that does not hold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kills import FILE, KEPT, WORKS, result
from processes import PAUSE, Run

import respike

SIZE = 64
"""MiB of the file system."""
WAIT = 600.0
"""Seconds that a run may take."""


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """A small file system in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "respike", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Write until nothing more goes in."""
    with (folder / "filling").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            return


def remount(folder: Path, how: str) -> None:
    """Make a file system read-only (``ro``), or not (``rw``)."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


class Cases:
    """The cases of one command.

    Args:
        work: Its name among those of ``kills.py``.
        folder: With the network in it.
        interval: Seconds from one writing to the next.
        data_dir: Of torchvision's data sets; None: what respike comes with.
    """

    def __init__(self, work: str, folder: Path, interval: float, data_dir: Path | None) -> None:
        self.work, self.folder, self.wrong, self.data_dir = work, folder, 0, data_dir
        self.settings = {"RESPIKE_INTERVAL": str(interval)}
        self.log = folder / "log"
        self.log.mkdir(exist_ok=True)
        self.wanted = result(self.ended(self.begun(folder / f"{work}-whole", resume=False)))

    def begun(self, folder: Path, resume: bool = True, **settings: str) -> Run:
        """The command, begun; what it prints lies where there is room."""
        folder.mkdir(exist_ok=True)
        data = [] if self.data_dir is None else ["--data-dir", str(self.data_dir.resolve())]
        arguments = [*WORKS[self.work], *data, "--json", *(["--resume", FILE] if resume else [])]
        return Run(arguments, 1, folder, {**self.settings, **settings}, log=self.log)

    def ended(self, run: Run) -> Run:
        """When it has ended."""
        if not run.wait(WAIT):
            run.end()
        return run

    def say(self, case: str, holds: bool, words: str) -> None:
        """A line for a case."""
        self.wrong += not holds
        print(f"{self.work}, {case}: {'as it should be' if holds else 'WRONG'}: {words.strip()}", flush=True)

    def disturbed(self, case: str, before: Callable[[Path], None], during: Callable[[Path], None]) -> None:
        """One case of a file system: it fails, and goes on when the cause is gone."""
        folder = self.folder / case.replace(" ", "-")
        with mounted(folder):
            before(folder)
            run = self.begun(folder)
            self.while_noted(run, folder, during)
            found = self.ended(run).text("err")
            self.say(case, any(run.codes()) and found.count("Error: ") == 1, found)
            remount(folder, "rw")
            (folder / "filling").unlink(missing_ok=True)
            again = self.ended(self.begun(folder))
            same = not any(again.codes()) and result(again) == self.wanted
            left = {place.name for place in folder.iterdir()} - KEPT
            self.say(f"{case}, then gone on with", same and not left, f"equal: {same}, left: {left or 'nothing'}")

    def while_noted(self, run: Run, folder: Path, during: Callable[[Path], None]) -> None:
        """Do something when the work has been noted for the first time."""
        while not (folder / FILE).exists() and not run.wait(PAUSE):
            time.sleep(PAUSE)
        during(folder)

    def clock(self) -> None:
        """The clock is set back."""
        run = self.ended(self.begun(self.folder / "clock", CLOCK_BACK="3600"))
        same = not any(run.codes()) and result(run) == self.wanted
        self.say("clock", same, f"equal: {same} {run.text('err')}")


def nothing(folder: Path) -> None:
    """Disturb nothing."""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), help="which commands")
    parser.add_argument("--interval", type=float, default=0.5, help="seconds from one writing to the next")
    parser.add_argument("--data-dir", type=Path, help="torchvision's data sets; convert needs Fashion-MNIST's")
    options = parser.parse_args()
    wrong: Any = 0
    for work in options.work:
        with tempfile.TemporaryDirectory() as name:
            model, calibration = respike.models.load("mnist_cnn"), respike.models.datasets.calibration()
            respike.from_torch(model, calibration, timesteps=8).save(Path(name) / "net.respike")
            cases = Cases(work, Path(name), options.interval, options.data_dir)
            cases.disturbed("full at once", fill, nothing)
            cases.disturbed("full later", nothing, fill)
            cases.disturbed("read-only", lambda folder: remount(folder, "ro"), nothing)
            cases.clock()
            wrong += cases.wrong
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
