"""Messages name options as the user types them: in Python, and on the command line."""

from __future__ import annotations

import warnings
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from cli_models import run, write_data
from torch import nn

import respike
from respike.cli import main
from respike.cli.spelling import as_typed
from respike.convert import ConversionWarning


class Classes(nn.Module):
    """Gives the number of a class, not scores."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(x).argmax(1)


@pytest.fixture
def data(tmp_path: Path) -> str:
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((8, 4), np.float32), y=np.arange(8) % 3)
    return str(tmp_path / "data.npz")


def test_errors_cannot_be_judged_where_the_network_gives_classes(data: str) -> None:
    with pytest.raises(respike.ConversionError, match=r"respike\.Auto\(judge='error'\) needs .* give respike\.Auto\("):
        respike.from_torch(Classes(), torch.rand(8, 4), respike.Auto(judge="error"))
    with pytest.raises(ValueError, match=r"^judge='error' needs .* give judge='decision'$"):
        respike.evaluate(
            respike.from_torch(Classes(), torch.rand(8, 4), 2), (torch.rand(8, 4), torch.zeros(8)), judge="error"
        )
    for command in (["convert"], ["evaluate", "--data", data]):
        result = run(*command, f"{__name__}:Classes", "--calibration", data, "-T", "auto", "--judge", "error")
        assert result.exit_code == 1
        assert result.stderr.endswith(
            "Error: --judge error needs outputs of floating point numbers, but this network gives classes; "
            "give --judge decision\n"
        )


def test_a_warning_names_options_too(tmp_path: Path) -> None:
    data, net = write_data(tmp_path / "data.npz", 20), str(tmp_path / "tiny.respike")
    assert run("convert", "cli_models:tiny", "--calibration", data, "-T", "2", "-o", net).exit_code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("always", ConversionWarning)
        result = run("evaluate", net, "--data", data, "-T", "9")
    assert result.exit_code == 0
    assert "(--threshold mse)" in result.stderr and "Convert with -T 9, or with --threshold max" in result.stderr


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("timesteps='auto' needs a ReLU", "-T auto needs a ReLU"),
        ("give timesteps=64 or threshold='max'", "give -T 64 or --threshold max"),
        ("pass timesteps=respike.Auto(judge='decision')", "pass --judge decision"),
        ("LIF(tau_mem=20.0) with reset='zero'", "LIF(tau_mem=20.0) with reset='zero'"),
        (
            "take neuron='signed' or population=8, or analog=['NAME', ...]",
            "take --neuron signed or --population 8, or --analog NAME",
        ),
        ("a model='x' that is an argument", "a model='x' that is an argument"),
    ],
)
def test_only_options_of_the_command_are_spelled_anew(said: str, typed: str) -> None:
    command = main.get_command(click.Context(main), "convert")
    assert command is not None
    with click.Context(command):
        assert as_typed(said) == typed
    assert as_typed(said) == said  # outside a command


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("convert with neuron='iaf': spikes", "convert with --neuron iaf: spikes"),
        ("neuron='iaf' does not burst", "neuron='iaf' does not burst"),
        (
            'snn = respike.from_torch(model, calibration, timesteps=8, neuron="signed")',
            "respike convert MODEL -T 8 --neuron signed -o net.respike",
        ),
        (
            "snn = respike.from_torch(model, calibration, timesteps=8, neuron=respike.LIF(20.0))",
            "snn = respike.from_torch(model, calibration, timesteps=8, neuron=respike.LIF(20.0))",
        ),
        ('snn = snn.recalibrated(calibration, "net.1")', 'snn = snn.recalibrated(calibration, "net.1")'),
    ],
)
def test_conversions_are_spelled_as_convert_has_them(said: str, typed: str) -> None:
    """In commands that have no such options themselves, too."""
    group = click.Context(main)
    for name in ("check", "diagnose"):
        command = main.get_command(group, name)
        assert command is not None
        if name == "diagnose" and said.startswith("neuron"):  # its own option
            continue
        with click.Context(command, parent=group):
            assert as_typed(said) == typed


def test_what_a_chip_needs_is_said_as_it_is_typed(tmp_path: Path) -> None:
    data, net = write_data(tmp_path / "data.npz", 64), str(tmp_path / "tiny.respike")
    made = run("convert", "cli_models:tiny", "--calibration", data, "-T", "2", "--neuron", "signed", "-o", net)
    assert made.exit_code == 0
    result = run("check", net)
    rules = [line[2:8].strip() for line in result.stdout.splitlines() if line[2:8].strip() in ("FAILED", "open", "ok")]
    assert {"FAILED", "open", "ok"} == set(rules)
    assert rules == sorted(rules, key=["FAILED", "open", "ok"].index)
    assert result.exit_code == 1
    assert "convert with --neuron iaf" in result.stdout
