"""Processes of a command that are killed or hang: the others end in time and say so once, and work goes on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")]
CLI = Path(__file__).parents[1] / "cli"
PATIENCE = 15.0


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts" / "faults"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CLI), os.environ.get("PYTHONPATH", "")]))
    import kills

    return kills


def endless(faults: Any, folder: Path, ranks: int) -> Any:
    """A conversion that takes long, on several ranks."""
    arguments = ["convert", "mnist_cnn", "-T", "auto", "--samples", "100000"]
    return faults.Run(arguments, ranks, folder, {"RESPIKE_PATIENCE": str(PATIENCE)})


@pytest.mark.parametrize(
    ("by", "rank", "seconds", "said"),
    [
        (signal.SIGKILL, 0, 0.0, "rank 1 cannot meet the other processes"),
        (signal.SIGKILL, 1, 0.0, "rank 0 cannot meet the other processes"),
        (signal.SIGKILL, 2, 12.0, "rank 2 of 3 (process {} on "),
        (signal.SIGSTOP, 0, 12.0, "rank 0 of 3 has not answered for 30 seconds"),
        (signal.SIGSTOP, 1, 12.0, "rank 1 of 3 has not answered for 15 seconds"),
    ],
)
def test_the_others_end_in_time_and_one_of_them_says_why(
    faults: Any, tmp_path: Path, by: int, rank: int, seconds: float, said: str
) -> None:
    run = endless(faults, tmp_path, 3)
    try:
        time.sleep(seconds)
        assert run.kill(rank, by)
        assert run.wait(2 * PATIENCE + 15, but=rank)
    finally:
        run.end()
    assert [code for k, code in enumerate(run.codes()) if k != rank] == [1, 1]
    assert run.text("err").count("Error: ") == 1
    assert said.format(run.workers[rank]) in run.text("err")
    assert "Traceback" not in run.text("err")  # torch has lines of its own where it was loaded before the command


def test_work_that_is_killed_again_and_again_gives_its_result(faults: Any, tmp_path: Path) -> None:
    given = argparse.Namespace(seed=0, interval=0.1, patience=PATIENCE, data_dir=None, torchrun=False, by="kill")
    harness = faults.Harness(given, tmp_path)
    wanted, _ = harness.whole("finetune", 1, resume=False)
    row = harness.row("finetune", 1, 4, wanted)
    assert row.notes == []
    assert row.found["kills"] == 4
    assert row.found["equal"] == row.found["results"] >= 1
