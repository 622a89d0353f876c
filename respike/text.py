"""Names and messages as a terminal, a page or a log may have them: from whom they come is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

LENGTH: Final = 80
"""Characters of a name in a message."""


def printable(text: str, keep: str = "") -> str:
    """The text with each control character, lone surrogate and invisible mark replaced, but for those in ``keep``."""
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)


def shown(name: str, length: int = LENGTH) -> str:
    """A name for a message: ``printable``, on one line, and not too long."""
    clean = printable(name[:length])
    return clean if len(name) == len(clean) else f"{clean}..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known name that is most like this one, or nothing if none is."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
