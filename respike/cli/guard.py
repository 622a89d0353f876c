"""What a user reads when something goes wrong."""

from __future__ import annotations

import dis
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TextIO

import click

from ..evaluation.targets import NotJudgedError
from ..files import WriteError
from ..text import printable

OURS = Path(__file__).parent.parent
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|[Oo]ut of memory|tried to allocate|bad_alloc")
"""What torch says on each device when there is none left."""
EXTRAS = {"onnxruntime": "verify", "altair": "report", "vl_convert": "report"}
"""Libraries that not every installation has, and the extra of respike that brings them."""


@contextmanager
def in_words() -> Iterator[None]:
    """Errors a user can mend become one message and exit code 1, Ctrl-C becomes 130; others keep their traceback.

    A ``ValueError`` is a user's to mend if respike itself raised it, with a message meant to be read; one that torch
    or numpy raise is a mistake of ours.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            yield
    except KeyboardInterrupt:
        click.echo("interrupted; nothing was half-written", err=True)
        sys.exit(130)
    except BrokenPipeError:  # click knows what to do
        raise
    except click.ClickException as error:
        error.message = printable(error.message, keep="\n")  # type: ignore[misc]  # final for type checkers only
        raise
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        raise click.ClickException(printable(message, keep="\n")) from error


def _message(error: Exception) -> str | None:
    """What a user reads; None for a mistake of ours."""
    if isinstance(error, OSError):
        return _told(error)
    if isinstance(error, NotJudgedError):
        return error.reason
    if isinstance(error, ValueError) and _raised_by_us(error):
        return str(error)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return (
            "there is not enough memory for this: take fewer --timesteps, a smaller --batch-size or fewer --samples "
            f"({str(error).strip().splitlines()[0] if str(error).strip() else 'MemoryError'})"
        )
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        return None if extra is None else f"this needs {error.name}: pip install 'respike[{extra}]'"
    return None


def _raised_by_us(error: BaseException) -> bool:
    return Path(_last(error).tb_frame.f_code.co_filename).is_relative_to(OURS)


def is_deliberate(error: Exception) -> bool:
    """Whether a ``raise`` of respike's raised the error, and not Python where something of a wrong type was used."""
    last = _last(error)
    raised = last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return isinstance(error, ValueError) and raised and _raised_by_us(error)


def _last(error: BaseException) -> TracebackType:
    """Where it was raised."""
    place = error.__traceback__
    assert place is not None
    while place.tb_next is not None:
        place = place.tb_next
    return place


def _told(error: OSError) -> str:
    if error.strerror is None or isinstance(error, WriteError):
        return str(error)
    return f"{'' if error.filename is None else f'{error.filename}: '}{error.strerror.lower()}"


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Our own warnings say all there is to say; of others the place matters."""
    place = "" if category.__module__.startswith("respike") else f"{filename}:{lineno}: {category.__name__}: "
    click.echo(printable(f"warning: {place}{message}", keep="\n"), err=True)
