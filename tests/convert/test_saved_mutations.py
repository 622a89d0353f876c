"""Broken files: each is refused, or loads and runs; none crashes, hangs or raises anything else.

Here 2,000 of them; ``python tests/convert/mutate_saved.py FOLDER 0 10000`` makes 10,000 and prints what became of them.
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
EACH = 1_000


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2 * EACH, EACH))
def test_a_mutant_is_refused_or_runs(first: int, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(respike.__file__).parents[1]), *filter(None, [os.getenv("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(first), str(first + EACH)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    number = (tmp_path / "number").read_text() if (tmp_path / "number").exists() else "none"
    assert done.returncode == 0, f"mutant {number} ended it: {done.stderr[-2000:]}"
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == EACH
    assert "raised" not in counts, done.stderr[-4000:]
    assert counts["refused"] > EACH / 2
    assert counts["ran"] > EACH / 20
    assert counts.get("refused by torch", 0) <= EACH / 500
