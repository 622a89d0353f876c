"""How far long work is, and how much time is left: on stderr, if that is a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.data import DataLoader

COUNT = re.compile(r"(.*?)(\d+) of (\d+)$")


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True)


@contextmanager
def stages(console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """A bar that follows lines of text; those that end in ``3 of 8``, meaning that the third begins, move it.

    Args:
        console: Where to; stderr by default.

    Yields:
        What ``from_torch`` takes as ``progress``.
    """
    with _bar(console or Console(stderr=True)) as bar:
        task = bar.add_task("loading", total=None)
        stage = ""

        def say(line: str) -> None:
            nonlocal stage
            found = COUNT.match(line)
            if found is None:
                bar.update(task, description=line)
                return
            head, number, total = found[1], int(found[2]), int(found[3])
            if head != stage:  # of each stage anew, as their steps take different times
                stage = head
                bar.reset(task, total=total)
            bar.update(task, description=line, completed=number - 1)

        yield say


@contextmanager
def batches(loader: DataLoader[Any], words: str, console: Console | None = None) -> Iterator[Iterable[Any]]:
    """A bar that follows how many batches of a loader have been taken.

    Args:
        loader: Whose batches.
        words: What is done with them.
        console: As in ``stages``.

    Yields:
        The batches, watched.
    """
    with _bar(console or Console(stderr=True)) as bar:
        yield bar.track(loader, description=words)
