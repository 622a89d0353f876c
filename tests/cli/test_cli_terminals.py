"""What reaches a terminal, whatever the names, the encoding and the other end of the pipe; Ctrl-C at any time."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli_models import run, write_data
from torch import nn

import respike
from respike.cli import main
from respike.report import Report
from respike.text import printable, shown

NAME = "$x_{$\x1b]0;owned\x07\x1b[2J\u202e\x9b1m"
ESCAPES = f"{NAME}\ud800"  # what cannot be written as UTF-8 can be typed, but be no name of Python's


def named() -> nn.Module:
    """A network whose modules and whose class have the worst of names."""
    torch.manual_seed(0)
    odd = type(f"Odd{NAME}", (nn.ReLU,), {})
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 9))
    model.add_module(f"odd{NAME}", odd())
    model.add_module("out", nn.Linear(9, 10))
    return model


def is_clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_text_is_made_printable_and_short() -> None:
    assert printable("größe\n\x1b[2J") == "größe\ufffd\ufffd[2J"
    assert printable("a\nb\x9b", keep="\n") == "a\nb\ufffd"
    assert shown("x" * 81) == "x" * 80 + "..."
    assert is_clean(shown(ESCAPES)) and shown(ESCAPES).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("terminals")
    write_data(path / "data.npz")
    return path


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


NAMED = "test_cli_terminals:named --calibration data.npz --data data.npz -T 2 --samples 9"


@pytest.mark.parametrize(
    "typed",
    [
        "convert test_cli_terminals:named --calibration data.npz -T 2 --samples 9",
        f"evaluate {NAMED} --json",
        f"diagnose {NAMED} -o figure.png",
        f"report {NAMED} -o report.json --name ESCAPES",
    ],
)
def test_names_of_modules_do_not_reach_the_terminal_as_they_are(typed: str) -> None:
    result = run(*typed.replace("ESCAPES", ESCAPES).split())
    assert result.exit_code == 0, result.stderr
    assert is_clean(result.stdout) and is_clean(result.stderr)
    if typed.startswith("convert"):
        assert "odd$x_{$\ufffd]0;owned" in result.stdout


def test_nor_what_the_user_types(folder: Path) -> None:
    for typed in (
        ["convert", ESCAPES],
        ["convert", f"{ESCAPES}.onnx"],
        ["convert", f"{ESCAPES}.respike"],
        ["inspect", f"{ESCAPES}.onnx"],
        ["evaluate", "mnist_mlp", "--data", f"{ESCAPES}.npz"],
        ["report", f"{ESCAPES}.json"],
        ["info", "--config", f"{ESCAPES}.toml"],
        ["convert", "mnist_mlp", "--weights", f"{ESCAPES}.pt"],
        ["convert", "mnist_mlp", "--calibration", f"random:{ESCAPES}"],
        ["convert", "mnist_mlp", "-o", f"{ESCAPES}/x.respike"],
        ["convert", "mnist_mlp", "--threshold", ESCAPES],
        ["convert", f"os:{ESCAPES}"],
        ["curve", "--neuron", ESCAPES],
        [ESCAPES],
    ):
        result = run(*typed)
        assert result.exit_code in (1, 2) and is_clean(result.stderr) and "Traceback" not in result.stderr, typed


def test_warnings_are_printable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respike.about.about", lambda: warnings.warn(ESCAPES, stacklevel=1) or {"a": ESCAPES})
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = run("info", "--json")
        assert is_clean(result.stderr) and is_clean(result.stdout) and "owned" in result.stderr
    assert json.loads(result.stdout) == {"a": ESCAPES}


@pytest.mark.slow
def test_a_page_holds_no_name_as_it_is(folder: Path) -> None:
    assert run(*f"report {NAMED} -o odd.json".split()).exit_code == 0
    text = (folder / "odd.json").read_text()
    bad = '<script>alert("x")</script>\\u001b[2J\\ud800'
    (folder / "odd.json").write_text(text.replace("odd$x_{$\\ufffd", f"odd{bad.replace(chr(34), chr(92) + chr(34))}"))
    assert run("report", "odd.json", "-o", "odd.html", "--csv", "tables").exit_code == 0
    page = (folder / "odd.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page and "\x1b" not in page
    assert "\x1b" not in (folder / "tables" / "layers.csv").read_text(encoding="utf-8")
    assert "\x1b" not in json.dumps(Report.from_json(folder / "odd.json").as_dict(), ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_encoding_can_print_it(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respike.about.about", lambda: {"θ": "größe ≈ 1"})
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit, match="0"):
        main(["info"])
    out.flush()
    utf8 = encoding in ("ascii", "utf-8")  # click takes ASCII for a mistake in the settings
    text = out.buffer.getvalue().decode("utf-8" if utf8 else encoding)  # type: ignore[attr-defined]
    assert ("größe ≈ 1" if utf8 else "\\u2248 1") in text


def command(*args: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{before}\nfrom respike.cli import main\nmain(prog_name='respike')", *args]


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(respike.__file__).parents[1]), "LC_ALL": "C", "PYTHONUTF8": "0"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_said(environment: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(command("--help"), stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
    assert done.returncode == 1 and done.stderr == "Error: no space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells close file descriptors")
def test_nobody_need_read(environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command("--help"), stdout=write, stderr=subprocess.PIPE, env=environment, text=True)
    os.close(write)
    assert done.returncode == 1 and done.stderr == ""
    closed = "import os; os.close(1); os.close(2)"
    done = subprocess.run(command("--help", before=closed), env=environment, capture_output=True, text=True)
    assert done.stderr == "" and done.returncode in (0, 1)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
@pytest.mark.parametrize("module", ["click", "torch", "respike.convert"])
def test_ctrl_c_while_something_is_imported(
    module: str, environment: dict[str, str], started: list[subprocess.Popen[bytes]]
) -> None:
    """Whatever is imported when it comes: the process stops there until it does."""
    before = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            print("ready", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Stop())
"""
    process = subprocess.Popen(
        command("convert", "mnist_mlp", before=before), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    started.append(process)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in errors
