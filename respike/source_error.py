"""What is said of a name on the command line that stands for nothing, or of a file that is not there."""

from __future__ import annotations

from pathlib import Path

from .errors import InputError


class SourceError(InputError):
    """A name that stands for nothing, or a file that cannot be used."""


def require(path: Path, what: str) -> None:
    """Whether a file is there.

    Raises:
        SourceError: it is not; says what was wanted, and where.
    """
    if not path.is_file():
        folder = "" if path.is_absolute() else f" (looked for in {Path.cwd()})"
        raise SourceError(f"there is no {what} {path}{folder}")
