"""What a user reads when something goes wrong."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

OURS = Path(__file__).parent.parent
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
    except ValueError as error:
        if not _raised_by_us(error):
            raise
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(_told(error)) from error
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise click.ClickException(f"this needs {error.name}: pip install 'respike[{extra}]'") from error


def _raised_by_us(error: BaseException) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).is_relative_to(OURS)


def _told(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror.lower()}"


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
    click.echo(f"warning: {place}{message}", err=True)
