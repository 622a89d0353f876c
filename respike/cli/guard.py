"""What a user reads when something goes wrong."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from ..errors import RespikeError
from ..text import printable
from .processes import tells
from .spelling import as_typed

_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|[Oo]ut of memory|tried to allocate|bad_alloc")
"""What torch says on each device when there is none left."""
EXTRAS = {
    "onnxruntime": "verify",
    "altair": "report",
    "vl_convert": "report",
    "webdataset": "webdataset",
    "braceexpand": "webdataset",
}
"""Libraries that not every installation has, and the extra of respike that brings them."""


@contextmanager
def in_words() -> Iterator[None]:
    """Errors that the user can mend become one message and exit code 1, and Ctrl-C becomes exit code 130.

    These are respike's own errors, those of the system, too little memory, and libraries that are not installed. Any
    other exception is a bug and keeps its traceback. Of several processes, one tells of an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            yield
    except KeyboardInterrupt:
        click.echo("interrupted; no file was left incomplete", err=True)
        sys.exit(130)
    except BrokenPipeError:  # click knows what to do
        raise
    except click.ClickException as error:
        if not tells(error):
            sys.exit(error.exit_code)
        error.message = printable(error.message, keep="\n")  # type: ignore[misc]  # final for type checkers only
        raise
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        if not tells(error):
            sys.exit(1)
        raise click.ClickException(printable(message, keep="\n")) from error


def _message(error: Exception) -> str | None:
    """The message for an error that the user can mend; None for a bug."""
    if isinstance(error, RespikeError):
        return as_typed(error.plain)
    if isinstance(error, OSError):
        return _told(error)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return (
            "there is not enough memory for this: take fewer --timesteps, a smaller --batch-size or fewer --samples "
            f"({str(error).strip().splitlines()[0] if str(error).strip() else 'MemoryError'})"
        )
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        return None if extra is None else f"this needs {error.name}: pip install 'respike[{extra}]'"
    return None


def _told(error: OSError) -> str:
    if error.strerror is None:
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
    click.echo(printable(f"warning: {place}{message if place else as_typed(str(message))}", keep="\n"), err=True)
