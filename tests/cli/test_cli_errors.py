"""Which errors are a message, and which keep their traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_models import run

import respike
from respike import sources
from respike.cli import main
from respike.convert.errors import FormatError
from respike.errors import InputError
from respike.files import WriteError

ONNX = str(Path(__file__).parent.parent / "convert" / "onnx_import" / "fixtures" / "keras_mlp.onnx")


def test_a_setting_in_the_environment_that_there_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPIKE_KERNELS", "fast")
    result = run("info")
    assert result.exit_code == 1
    assert "RESPIKE_KERNELS='fast': there are eager, numba, triton" in result.stderr


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run("inspect", ONNX, "--verify")
    assert result.exit_code == 1 and "pip install 'respike[verify]'" in result.stderr


def test_a_library_of_an_extra_that_is_missing_deep_inside_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(library: str) -> None:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    monkeypatch.setattr("respike.about.about", lambda: needs("altair.vegalite"))
    result = run("info")
    assert result.exit_code == 1 and "pip install 'respike[report]'" in result.stderr
    monkeypatch.setattr("respike.about.about", lambda: needs("ours"))
    assert isinstance(run("info").exception, ModuleNotFoundError)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an error that torch or numpy raise inside respike, of a type that respike's own errors have too."""
    bugs = {
        "cannot reshape": lambda: np.zeros(3).reshape(2),
        "divisible by groups": lambda: torch.nn.Conv2d(3, 4, 1, groups=2),
        "could not convert": lambda: float("x"),
    }
    for words, bug in bugs.items():
        monkeypatch.setattr("respike.about.about", bug)
        with pytest.raises(ValueError, match=words) as found:
            main.main(["info"], standalone_mode=False)
        assert not isinstance(found.value, respike.RespikeError)


def test_an_error_of_respike_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise InputError("no such luck")

    monkeypatch.setattr("respike.about.about", refuse)
    result = run("info")
    assert (result.exit_code, result.stderr) == (1, "Error: no such luck\n")


def test_errors_of_respike_have_one_base_and_the_types_that_they_had() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ELU())
    with pytest.raises(respike.ConversionError):
        respike.from_torch(net, torch.rand(4, 2))
    assert issubclass(respike.ConversionError, (respike.RespikeError, ValueError))
    for kind, builtin in ((FormatError, ValueError), (sources.SourceError, ValueError), (WriteError, OSError)):
        assert issubclass(kind, respike.RespikeError) and issubclass(kind, builtin)
    for refused in (
        lambda: respike.layers.LIF(tau_mem=-1.0),
        lambda: respike.models.load("mnist_cn"),
        lambda: respike.evaluate(respike.from_torch(net[0], torch.rand(4, 2)), []),
    ):
        with pytest.raises(respike.RespikeError) as found:
            refused()
        assert isinstance(found.value, ValueError)


def test_what_the_system_refuses_is_said_with_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respike.about.about", lambda: (tmp_path / "locked").mkdir() or (tmp_path / "locked").mkdir())
    result = run("info")
    assert result.exit_code == 1 and result.stderr == f"Error: {tmp_path / 'locked'}: file exists\n"


def test_warnings_are_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    from respike.convert import ConversionWarning

    def warned() -> dict[str, str]:
        warnings.warn("a layer never fires", ConversionWarning, stacklevel=1)
        return {"a": "b"}

    monkeypatch.setattr("respike.about.about", warned)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = run("info", "--json")
    assert result.stderr == "warning: a layer never fires\n" and result.stdout == '{\n "a": "b"\n}\n'


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    # Programs that are started in the background inherit that SIGINT is ignored.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; from respike.cli import main; print('ready', flush=True); main()"
    command = [sys.executable, "-c", code, "demo", "-T", "64", "-o", "demo.png"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"  # before that, Python itself would take the signal
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"interrupted" in errors
    assert list(tmp_path.iterdir()) == []
