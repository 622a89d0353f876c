"""Names, messages and tables as a terminal, a page or a log may have them: names may come from anyone."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
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


def table(rows: Iterable[Sequence[str]], align: str = "<") -> list[str]:
    """Rows of cells as lines of text; each column is as wide as its widest cell.

    >>> table([("layer", "size"), ("net.2 (ReLU)", "256")], "<>")
    ['layer         size', 'net.2 (ReLU)   256']

    Args:
        rows: Cells, as many in each row.
        align: ``<`` (left) or ``>`` (right) for each column; the last one holds for all further columns.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = align.ljust(len(widths), align[-1])
    return [
        "  ".join(f"{cell:{side}{w}}" for cell, side, w in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]
