"""``respike export``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from cli_models import run, tiny

import respike


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "net.respike"
    respike.from_torch(tiny(), torch.rand(30, 1, 28, 28), timesteps=4).save(path)
    return path


@pytest.mark.parametrize("form", ["loop", "step"])
def test_the_file_is_the_network(form: str, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    result = run("export", str(saved), "-o", str(path), *([] if form == "loop" else ["--form", form]))
    assert result.exit_code == 0 and result.stderr == f"network: {path}\n" and not result.stdout
    session = onnxruntime.InferenceSession(str(path))
    assert session.get_modelmeta().custom_metadata_map["respike.form"] == form
    x = torch.rand(3, 1, 28, 28)
    first, *others = [value.name for value in session.get_inputs()]
    feed = {name: np.zeros((3, 20) if "v_mem" in name or "total" in name else (), np.float32) for name in others}
    if form == "loop":
        feed = {"timesteps": np.array(1, np.int64)}
    found = session.run(["output"], {first: x.numpy(), **feed})[0]
    np.testing.assert_allclose(found, respike.load(saved).simulate(x)[:, 0].numpy(), atol=1e-5)


def test_mistakes_are_met_before_the_work(saved: Path, tmp_path: Path) -> None:
    for args, said in (
        (["mnist_cnn", "-o", "net.onnx"], "mnist_cnn is not a saved network"),
        (["none.respike", "-o", "net.onnx"], "there is no saved network none.respike"),
        ([str(saved), "-o", str(tmp_path / "net.pt")], "its ending must be one of onnx, nir, py"),
        ([str(saved), "-o", str(tmp_path / "none" / "net.onnx")], "does not exist"),
    ):
        result = run("export", *args)
        assert result.exit_code == 1 and said in result.stderr
    assert run("export", str(saved)).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_other_files_have_no_form(saved: Path, tmp_path: Path) -> None:
    for name in ("net.nir", "net.py"):
        path = tmp_path / name
        assert run("export", str(saved), "-o", str(path)).exit_code == 0
        assert path.exists()
        assert (
            f"--form has no effect on {path.suffix} files"
            in run("export", str(saved), "-o", str(path), "--form", "step").stderr
        )
