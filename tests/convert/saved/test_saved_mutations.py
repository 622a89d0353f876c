"""Broken files: each is refused, or loads and runs; none crashes, hangs or raises anything else.

Here 1,000 of them, and some of those that have another value in one place. By hand, ``mutate_saved.py`` beside this
file makes 10,000 (``FOLDER 0 10000``) or every one of the second kind (``FOLDER each``) and prints what became of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import respike

PROGRAM = Path(__file__).with_name("mutate_saved.py")
MUTANTS = 1_000


def counts(folder: Path, *args: str) -> dict[str, int]:
    path = os.pathsep.join([str(Path(respike.__file__).parents[1]), *filter(None, [os.getenv("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), *args],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    number = (folder / "number").read_text() if (folder / "number").exists() else "none"
    assert done.returncode == 0, f"mutant {number} ended it: {done.stderr[-2000:]}"
    found: dict[str, int] = json.loads(done.stdout)
    assert "raised" not in found, done.stderr[-4000:]
    return found


@pytest.mark.slow
def test_a_mutant_is_refused_or_runs(tmp_path: Path) -> None:
    found = counts(tmp_path, "0", str(MUTANTS))
    assert sum(found.values()) == MUTANTS
    assert found["refused"] > MUTANTS / 2
    assert found["ran"] > MUTANTS / 20
    assert found.get("refused by torch", 0) <= MUTANTS / 500


@pytest.mark.slow
def test_another_value_anywhere_is_refused_or_runs(tmp_path: Path) -> None:
    found = counts(tmp_path, "each", "83")  # coprime to the number of values, so that each place and value comes up
    assert found["refused"] > 100
    assert found["ran"] >= 1
    assert found.get("refused by torch", 0) <= 2
