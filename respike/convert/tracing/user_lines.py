"""Where in the user's code something happens."""

from __future__ import annotations

import ast
import functools
import linecache
import re
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

import torch

_OURS = tuple(f"{Path(path).resolve().parent}/" for path in (torch.__file__, Path(__file__).parent))
_TRACED = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


class Line(NamedTuple):
    """A line of the user's code; its text follows in messages."""

    file: str
    number: int

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.number).strip()
        return f"{Path(self.file).name}:{self.number}" + (f", {text!r}" if text else "")


def is_users(file: str) -> bool:
    """Whether a file is neither PyTorch's nor ours."""
    return not file.startswith((*_OURS, "<"))


def of_error(error: BaseException) -> Line | None:
    """The user's line that raised an error."""
    found: Line | None = None
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == __file__ or is_users(step.tb_frame.f_code.co_filename):
            found = Line(step.tb_frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return found


def of_trace(stack: str | None) -> Line | None:
    """The user's innermost line in the stack that ``torch.export`` notes with each node."""
    lines = [Line(m["file"], int(m["line"])) for m in _TRACED.finditer(stack or "")]
    return next((line for line in reversed(lines) if is_users(line.file)), None)


def asserting(frame: FrameType | None, outermost: str) -> bool:
    """Whether the user's code that runs is about to assert something, and nothing else comes of it.

    Args:
        frame: The innermost frame.
        outermost: File of the function that called the model: what lies further out is not the model's.
    """
    while frame is not None and frame.f_code.co_filename != outermost:
        code = frame.f_code
        if is_users(code.co_filename):
            place = next((p for i, p in enumerate(code.co_positions()) if 2 * i == frame.f_lasti), None)
            if place is not None and _within(place, _asserted(code.co_filename)):
                return True
        frame = frame.f_back
    return False


_Place = tuple[int | None, int | None, int | None, int | None]
"""First and last line, first and last column."""


def _within(place: _Place, conditions: tuple[tuple[_Place, _Place], ...]) -> bool:
    """Whether an instruction belongs to one of the conditions; a jump has the place of the whole statement."""
    first, last, left, right = (n or 0 for n in place)
    for (a, b, c, d), statement in conditions:
        if place == statement or ((a or 0, c or 0) <= (first, left) and (last, right) <= (b or 0, d or 0)):
            return True
    return False


@functools.cache
def _asserted(file: str) -> tuple[tuple[_Place, _Place], ...]:
    """All conditions in a file that only decide whether an error is raised: their places, and their statements'."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ()
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Assert, ast.If)) and _only_asserts(node)]
    return tuple((_place(node.test), _place(node)) for node in found)


def _place(node: ast.stmt | ast.expr) -> _Place:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _only_asserts(node: ast.Assert | ast.If) -> bool:
    return isinstance(node, ast.Assert) or (not node.orelse and all(_only_tells(step) for step in node.body))


def _only_tells(step: ast.stmt) -> bool:
    """Whether a statement raises an error, warns or prints."""
    if isinstance(step, ast.Expr) and isinstance(step.value, ast.Call):
        return ast.unparse(step.value.func) in ("print", "warnings.warn", "warn")
    return isinstance(step, ast.Raise)
