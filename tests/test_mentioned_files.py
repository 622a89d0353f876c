"""Files and modules that docs, docstrings and comments mention are there: what is moved is corrected everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [path for name in ("respike", "scripts", "tests") for path in sorted((ROOT / name).rglob("*.py"))]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(ROOT.glob("docs/**/*.md"))]
FILES = {path.relative_to(ROOT).as_posix() for path in SOURCES}
EXPORTED = {"net.py", "mlp_code.py", "small.py"}
"""What examples of ``to_python`` write."""
FILE = re.compile(r"(?<![\w./])((?:[\w-]+/)*\w+\.py)\b")
MODULE = re.compile(r"\brespike((?:\.[a-z]\w*)+)")


def strangers(text: str) -> list[str]:
    """The files and modules that a text mentions and that are not there."""
    ends = {"/".join(file.split("/")[at:]) for file in FILES for at in range(file.count("/") + 1)}
    found = [file for file in FILE.findall(text) if file not in ends | EXPORTED]
    for parts in MODULE.findall(text):
        *folders, _ = ["respike", *parts[1:].split(".")]
        for at in range(1, len(folders)):
            if not (ROOT / "/".join(folders[: at + 1])).is_dir():
                if "/".join(folders[: at + 1]) + ".py" not in FILES:
                    found.append("respike" + parts)
                break
    return found


def mentioned(paths: list[Path]) -> dict[str, list[str]]:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return {name: gone for name, text in texts.items() if (gone := strangers(text))}


def test_pages_mention_files_and_modules_that_are_there() -> None:
    assert mentioned(PAGES) == {}


def test_docstrings_and_comments_mention_files_and_modules_that_are_there() -> None:
    assert mentioned([path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts]) == {}


@pytest.mark.parametrize(
    "text", ["see `trace_by_hand.py`", "convert/tracing/rules.py", "``respike.convert.nowhere.rules``"]
)
def test_what_is_gone_is_found(text: str) -> None:
    assert len(strangers(text)) == 1
    assert strangers("convert/graph/rules.py, `rules.py`, respike.convert.graph.rules.LINEAR, respike.evaluate") == []
