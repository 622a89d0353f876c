"""Run the Python examples of a page in docs and hold what they print against what the page shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

EXAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n?^```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def run(page: Path) -> dict[str, object]:
    """Run a page's ``python`` blocks in order, as one program, in the current folder.

    A ``text`` block right behind one shows what it prints, to the letter; without one, anything may be printed.

    Returns:
        The variables that the program leaves.

    Raises:
        ValueError: a block printed something else than the page shows.
    """
    text = page.read_text(encoding="utf-8")
    values: dict[str, object] = {"__name__": page.stem}
    for example in EXAMPLE.finditer(text):
        code, shown = example.groups()
        above = text.count("\n", 0, example.start(1))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):  # blank lines above, so that errors name the page's own lines
            exec(compile("\n" * above + code, str(page), "exec"), values)
        print(printed.getvalue(), end="")
        if shown is not None and shown.rstrip() != printed.getvalue().rstrip():
            raise ValueError(f"{page.name}, line {above + 1}: shown is\n{shown}\nbut printed was\n{printed.getvalue()}")
    return values
