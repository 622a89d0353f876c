"""Whole numbers in files of data: they stay so for networks that take them, and become float32 for others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_models import run, tiny, words

import respike
from respike.cli.network import taken_by
from respike.data_file import arrays_in


def tokens(path: Path, kind: str = "int64") -> str:
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.integers(0, 10, (40, 6)).astype(kind), y=rng.integers(0, 3, 40))
    return str(path)


def test_tokens_of_an_embedding(tmp_path: Path) -> None:
    data, net = tokens(tmp_path / "tokens.npz"), str(tmp_path / "net.respike")
    made = run("convert", "cli_models:words", "--calibration", data, "-T", "4", "-o", net)
    assert made.exit_code == 0, made.output
    told = run("evaluate", net, "--ann", "cli_models:words", "--data", data, "--json")
    assert told.exit_code == 0, told.output
    x = torch.from_numpy(np.load(data)["x"])
    agreed = (respike.load(net)(x).argmax(1) == words()(x).argmax(1)).double().mean()
    assert json.loads(told.stdout)["agreement"][-1] == pytest.approx(float(agreed))
    found = run("diagnose", net, "--ann", "cli_models:words", "--data", data, "--samples", "20")
    assert found.exit_code == 0, found.output
    checked = run("check", net, "--data", data)
    assert "Speck" in checked.stdout, checked.output


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float32"])
def test_whichever_type_they_have(tmp_path: Path, kind: str) -> None:
    data = arrays_in(Path(tokens(tmp_path / "tokens.npz", kind)))
    taken = taken_by(words(), data)
    assert data.tensors[0].dtype == torch.float32
    assert taken.tensors[0].dtype == (torch.float32 if kind == "float32" else torch.int64)
    assert torch.equal(taken.tensors[1], data.tensors[1])


@pytest.mark.parametrize("kind", ["uint8", "int64"])
def test_images_become_real_numbers(tmp_path: Path, kind: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28)).astype(kind)
    np.savez(tmp_path / "images.npz", x=images)
    taken = taken_by(tiny(), arrays_in(tmp_path / "images.npz"))
    assert taken.tensors[0].dtype == torch.float32
    assert torch.equal(taken.tensors[0], torch.from_numpy(images).float())
