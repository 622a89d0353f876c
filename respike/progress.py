"""Progress reporting: one protocol that the library, its users, the command line and the scripts share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """Is told how far long work is, and keeps it to itself; a subclass shows it.

    >>> class Printed(Progress):
    ...     def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
    ...         print(in_words(stage, done, total))
    >>> Printed().report("calibrating layers", 3, 8)
    calibrating layers: 3 of 8
    """

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """What is being done now.

        Args:
            stage: In a few words, ``"calibrating layers"``.
            done: How many parts of this stage are done.
            total: How many parts there are; None if that is not known.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The work has ended."""


SILENT: Final = Progress()
Listener = Progress | Callable[[str], None]
"""What users may pass as ``progress``: an object that is told numbers, or a function that is told a line of text."""


class Lines(Progress):
    """Calls a function with a line of text each time.

    Args:
        write: The function.
    """

    def __init__(self, write: Callable[[str], Any]) -> None:
        self.write = write

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """As ``Progress.report``."""
        self.write(in_words(stage, done, total))


class Bar(Progress):
    """A bar on stderr with the time left, taken away in the end.

    Args:
        console: Where to draw it instead.
        always: Where stderr is not a terminal, write it once in the end.
    """

    def __init__(self, console: Console | None = None, *, always: bool = False) -> None:
        self.console, self.shown = console, always or console is not None or sys.stderr.isatty()
        self.bar: Any = None
        self.stage: str | None = None
        self.task: Any = None
        self.depth = 0  # functions that are given a bar enter it once more

    def __enter__(self) -> Self:
        self.depth += 1
        if self.shown and self.depth == 1:
            # Not at the top of the file: rich draws from the global random numbers when it is imported.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
            where = self.console or Console(stderr=True)
            self.bar = Progress(*columns, TimeRemainingColumn(), console=where, transient=where.is_terminal)
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if self.bar is not None and not self.depth:
            self.bar.stop()
            self.bar = self.stage = None

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """As ``Progress.report``; the time left is that of this stage."""
        if self.bar is None:
            return
        if stage != self.stage:
            if self.stage is not None:
                self.bar.remove_task(self.task)
            self.stage, self.task = stage, self.bar.add_task("", total=total)
        self.bar.update(self.task, description=in_words(stage, done, total), completed=done, total=total)


def in_words(stage: str, done: int = 0, total: int | None = None) -> str:
    """A line of text: the stage, and how many parts of it are done."""
    if total is not None:
        return f"{stage}: {done:,} of {total:,}"
    return f"{stage}: {done:,}" if done else stage


def listener(given: Listener | bool | None, default: bool = False) -> Progress:
    """What is told how far the work is; to be used as a context manager around the work.

    Args:
        given: As users pass it: an object or a function to tell; True for a bar, False for nothing, None for the
            default.
        default: Whether that is a bar on terminals, or nothing.
    """
    if isinstance(given, Progress):
        return given
    if given is None or isinstance(given, bool):
        return Bar(always=bool(given)) if given or (given is None and default) else SILENT
    return Lines(given)
