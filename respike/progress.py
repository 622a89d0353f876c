"""Progress reporting: one protocol that the library, its users, the command line and the scripts share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from .errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """Is told how far long work is, and keeps it to itself; a subclass shows it.

    >>> class Printed(Progress):
    ...     def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
    ...         print(in_words(stage, done, total))
    >>> Printed().report("evaluating", 300, 1000)
    evaluating: 300 of 1,000
    """

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """What is being done now.

        The words may change within a stage, so that they name what is worked on: as long as ``total`` stays and
        ``done`` does not fall, it is the same stage.

        Args:
            stage: In a few words, ``"evaluating"``, or ``"calibrating layer 4 of 33, features.3 (ReLU)"``.
            done: How many parts of this stage are done.
            total: How many parts there are; None if that is not known. ``SHARES`` where parts take unlike times:
                ``done`` is the share of the work then.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The work has ended."""


SILENT: Final = Progress()
SHARES: Final = 1_000_000
"""Parts of work that is not a number of things alike; as many or more are said in percent."""
PATIENCE: Final = 5.0
"""Seconds of a stage before lines of text say how long it still takes."""
Listener = Progress | Callable[[str], None]
"""What users may pass as ``progress``: an object that is told numbers, or a function that is told a line of text."""


class Part(Progress):
    """Says before each stage which part of longer work it belongs to.

    Args:
        whole: What is told of that.
        what: Which part.
    """

    def __init__(self, whole: Progress, what: str) -> None:
        self.whole, self.what = whole, what

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """As ``Progress.report``."""
        self.whole.report(f"{self.what}: {stage}", done, total)


class Lines(Progress):
    """Calls a function with a line of text each time.

    Args:
        write: The function.
    """

    def __init__(self, write: Callable[[str], Any]) -> None:
        self.write, self.pace = write, _Pace()

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """As ``Progress.report``, with the time left in stages that take some seconds."""
        now = time.monotonic()
        self.pace.report(stage, done, total, now)
        left = self.pace.left(now) if now - self.pace.begun >= PATIENCE and done != total else None
        self.write(in_words(stage, done, total) + ("" if left is None else f", {_clock(left)} left"))


class Bar(Progress):
    """A bar on stderr with the time left, taken away in the end.

    Args:
        console: Where to draw it instead.
        always: Where stderr is not a terminal, write it once in the end.
    """

    def __init__(self, console: Console | None = None, *, always: bool = False) -> None:
        self.console, self.shown = console, always or console is not None or sys.stderr.isatty()
        self.bar: Any = None
        self.pace = _Pace()
        self.task: Any = None
        self.depth = 0  # functions that are given a bar enter it once more

    def __enter__(self) -> Self:
        self.depth += 1
        if self.shown and self.depth == 1:
            # Not at the top of the file: rich draws from the global random numbers when it is imported.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
            from rich.text import Text

            pace, left_of = self.pace, _clock

            class Left(ProgressColumn):
                """Not rich's: that looks at the last half minute, which may be less than a layer takes."""

                def render(self, task: Any) -> Text:
                    left = pace.left(task.get_time())
                    return Text("left: -:--:--" if left is None else f"left: {left_of(left)}")

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), Left())
            where = self.console or Console(stderr=True)
            self.bar = Progress(*columns, console=where, transient=where.is_terminal)
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if self.bar is not None and not self.depth:
            self.bar.stop()
            self.bar = self.task = None

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """As ``Progress.report``; the time left is that of this stage."""
        if self.bar is None:
            return
        if self.pace.report(stage, done, total, self.bar.get_time()) or self.task is None:
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.task = self.bar.add_task("", total=total)
        self.bar.update(self.task, description=in_words(stage, done, total), completed=done, total=total)


class _Pace:
    """How long a stage still takes, if what is left of it goes as fast as what is done."""

    def __init__(self) -> None:
        self.stage: str | None = None
        self.total: int | None = None
        self.first = self.done = 0
        self.begun = self.at = 0.0

    def report(self, stage: str, done: int, total: int | None, now: float) -> bool:
        """A report at this second; whether a new stage begins with it."""
        same = stage == self.stage or (self.stage is not None and total is not None)
        begins = not same or total != self.total or done < self.done
        if begins:
            self.begun, self.first = now, done
        self.stage, self.done, self.total, self.at = stage, done, total, now
        return begins

    def left(self, now: float) -> float | None:
        """Seconds; None as long as nothing is known."""
        if self.total is None or self.done <= self.first:
            return None
        each = (self.at - self.begun) / (self.done - self.first)
        return max(0.0, each * (self.total - self.done) - (now - self.at))


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def in_words(stage: str, done: int = 0, total: int | None = None) -> str:
    """A line of text: the stage, and how many parts of it are done, of very many in percent."""
    if total is not None and total >= SHARES:
        return f"{stage}: {100 * done // total} %"
    if total is not None:
        return f"{stage}: {done:,} of {total:,}"
    return f"{stage}: {done:,}" if done else stage


def listener(given: Listener | bool | None, default: bool = False) -> Progress:
    """What is told how far the work is; to be used as a context manager around the work.

    Args:
        given: As users pass it: an object or a function to tell; True for a bar, False for nothing, None for the
            default.
        default: Whether that is a bar on terminals, or nothing.

    Raises:
        InputError: something else.
    """
    if isinstance(given, Progress):
        return given
    if given is None or isinstance(given, bool):
        return Bar(always=bool(given)) if given or (given is None and default) else SILENT
    if not callable(given):
        raise InputError(
            f"progress must be True, False, None, or a function of a line of text; got {type(given).__name__}"
        )
    return Lines(given)
