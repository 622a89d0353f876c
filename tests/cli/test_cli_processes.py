"""Commands under torchrun: one process speaks and writes, and an error is told once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_models import run, write_data

import respike
from respike.convert.identity import digest_of_network

HERE = Path(__file__).parent


def start(folder: Path, *args: str, size: int = 2, **variables: str) -> subprocess.Popen[str]:
    """torchrun, in a folder, with the models of these tests at hand."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(size), "-m", "respike"]
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", *launcher, *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_one_process_prints_and_writes(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.npz")
    args = ("cli_models:tiny", "--calibration", data, "--data", data, "-T", "4", "--batch-size", "7", "--json")
    code, out, err = ended(start(tmp_path, "evaluate", *args, "-o", "curve.svg"))
    assert code == 0, err
    assert err.count("figure: curve.svg") == 1
    assert (tmp_path / "curve.svg").exists()
    assert json.loads(out) == json.loads(run("evaluate", *args).stdout)


@pytest.mark.parametrize("command", ["evaluate", "diagnose"])
def test_finished_work_is_kept_and_a_damaged_file_is_refused(command: str, tmp_path: Path) -> None:
    data, file = write_data(tmp_path / "data.npz"), tmp_path / "work.resume"
    args = ("cli_models:tiny", "--calibration", data, "--data", data, "-T", "2", "--samples", "16")
    wanted = run(command, *args).stdout
    for _ in range(2):
        assert run(command, *args, "--resume", str(file)).stdout == wanted
        assert (tmp_path / "work.resume.conversion").exists()
    file.write_bytes(file.read_bytes()[:-9])
    result = run(command, *args, "--resume", str(file))
    assert result.exit_code == 1
    assert "work.resume: it is damaged" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_processes_write_the_network_of_one(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.npz", 90)
    args = ("cli_models:tiny", "--calibration", data, "-T", "4")
    code, out, err = ended(start(tmp_path, "convert", *args, "-o", "both.respike", "--resume", "done"))
    assert code == 0, err
    alone = run("convert", *args, "-o", str(tmp_path / "one.respike"), "--resume", str(tmp_path / "done"))
    assert out == alone.stdout
    fresh = run("convert", *args, "-o", str(tmp_path / "fresh.respike"))
    assert out == fresh.stdout
    found = [respike.load(tmp_path / f"{name}.respike") for name in ("both", "one", "fresh")]
    assert len({digest_of_network(snn) for snn in found}) == 1


@pytest.mark.slow
def test_an_error_is_told_once(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.npz")
    for args, message in (
        (("evaluate", "mnist_cn"), "no model is called 'mnist_cn'"),
        (("evaluate", "mnist_cnn", "--smaples", "3"), "No such option '--smaples'"),
        (("convert", "cli_models:tiny", "--calibration", data, "-o", "nowhere/a.respike"), "does not exist"),
    ):
        code, out, err = ended(start(tmp_path, *args))
        assert code == 1
        assert out == ""
        assert err.count(message) == 1


@pytest.mark.slow
def test_a_command_that_is_not_shared_is_done_once(tmp_path: Path) -> None:
    code, out, _ = ended(start(tmp_path, "info"))
    assert code == 0
    assert out == run("info").stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_an_interruption_ends_all_quietly(tmp_path: Path) -> None:
    process = start(tmp_path, "convert", "cli_models:tiny", "--calibration", "random:1x28x28", "-T", "4000")
    time.sleep(15)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, _, err = ended(process)
    assert time.monotonic() - begun < 10
    assert err.count("interrupted; no file was left incomplete") <= 1
