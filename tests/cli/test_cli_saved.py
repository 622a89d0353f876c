"""Networks from files on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli_models import run, tiny, write_data

import respike


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network made by ``convert -o``, and data."""
    path = tmp_path_factory.mktemp("saved")
    data = write_data(path / "data.npz")
    args = ("--calibration", data, "-T", "6", "--samples", "20", "--max-spikes", "2")
    result = run("convert", "cli_models:tiny", *args, "-o", str(path / "net.respike"))
    assert result.exit_code == 0, result.output
    assert result.stderr == f"network: {path / 'net.respike'}\n"
    return path


def test_what_convert_wrote_is_what_python_makes(folder: Path) -> None:
    data = respike.sources.find_calibration(str(folder / "data.npz"))
    snn = respike.from_torch(tiny(), data, timesteps=6, samples=20, max_spikes=2)
    images = data[:10][0]  # type: ignore[index]
    assert torch.equal(respike.load(folder / "net.respike").simulate(images), snn.simulate(images))


def test_a_file_is_judged_as_the_network_that_it_holds(folder: Path) -> None:
    data, saved = str(folder / "data.npz"), str(folder / "net.respike")
    shown = run("convert", saved)
    assert shown.exit_code == 0 and "iaf x2" in shown.stdout and "T = 6" in shown.stdout
    fresh = run(
        *("evaluate", "cli_models:tiny", "--calibration", data, "--data", data, "-T", "6", "--samples", "20"),
        *("--max-spikes", "2", "--json"),
    )
    loaded = run("evaluate", saved, "--ann", "cli_models:tiny", "--data", data, "--json")
    assert json.loads(loaded.stdout) == json.loads(fresh.stdout)
    alone = json.loads(run("evaluate", saved, "--data", data, "-T", "9", "--json").stdout)
    assert alone["agreement"] is None and alone["ann_accuracy"] is None
    assert len(alone["accuracy"]) == 9
    assert alone["accuracy"][:6] == json.loads(fresh.stdout)["accuracy"]


def test_early_exit_of_a_file_takes_calibration_samples(folder: Path) -> None:
    data, saved = str(folder / "data.npz"), str(folder / "net.respike")
    result = run("evaluate", saved, "--data", data, "--calibration", data, "--early-exit", "90", "--samples", "9")
    assert result.exit_code == 0 and "mean latency" in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--threshold", "max", "--max-spikes", "3"], "is already converted, so --threshold, --max-spikes cannot be"),
        (["-T", "auto"], "-T auto is for conversion, here T is a number"),
        (["--weights", "x.pt"], "holds its own weights; --weights is for the network of --ann"),
        (["--ann", "net.respike"], "holds a spiking network, and a trained ReLU network is wanted here"),
        (["--ann", "cli_models:other"], "cli_models:other does not take the samples of"),
        (["--ann", "mnist_cn"], "did you mean mnist_cnn?"),
        (["--early-exit", "99"], "so name its data: --calibration"),
    ],
)
def test_what_is_settled_cannot_be_chosen(folder: Path, args: list[str], message: str) -> None:
    result = run("evaluate", str(folder / "net.respike"), "--data", str(folder / "data.npz"), *args)
    assert result.exit_code == 1 and message in result.stderr
