"""Options from a TOML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_models import run, write_data

from respike.cli import main

CONVERT = """
[respike]                 # for every command that has the option
samples = 20
json = true
[convert]
model = "cli_models:tiny"
timesteps = 6
threshold = "percentile"
percentile = 99           # a whole number is a number
analog = []
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data.npz")
    return tmp_path


def config(folder: Path, text: str) -> str:
    path = folder / "options.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_file_does_what_the_options_do_and_options_win(folder: Path) -> None:
    path = config(folder, CONVERT + 'calibration = "data.npz"\n')
    args = (
        "cli_models:tiny",
        "--calibration",
        "data.npz",
        "--samples",
        "20",
        "--threshold",
        "percentile",
        "--percentile",
        "99",
        "--json",
    )
    from_file = run("convert", "--config", path)
    assert from_file.exit_code == 0, from_file.output
    assert from_file.stdout == run("convert", *args, "-T", "6").stdout
    won = json.loads(run("convert", "--config", path, "-T", "3").stdout)
    assert won["timesteps"] == 3
    assert run("convert", "mnist_cn", "--config", path).exit_code == 1  # the model, too


def understood(folder: Path, text: str, *typed: str) -> dict[str, Any]:
    """The values that a command has for its options."""
    args = [*typed[1:], "--config", config(folder, text)]
    return main.commands[typed[0]].make_context(typed[0], args, parent=main.make_context("respike", ["-"])).params


def test_a_commands_own_table_goes_before_the_common_one(folder: Path) -> None:
    text = "[respike]\ntimesteps = 5\nsamples = 8\n[convert]\ntimesteps = 4\n"
    convert = understood(folder, text, "convert", "mnist_mlp")
    assert (convert["timesteps"], convert["samples"]) == (4, 8)
    assert understood(folder, text, "evaluate", "mnist_mlp")["timesteps"] == 5
    assert understood(folder, text, "convert", "mnist_mlp", "-T", "3")["timesteps"] == 3
    assert "samples" not in understood(folder, text, "curve")  # it has no such option
    for model in ('"mnist_mlp"', '["mnist_mlp"]'):
        assert understood(folder, f"[report]\nmodel = {model}\n", "report")["model"] == ("mnist_mlp",)


def test_values_that_the_command_line_writes_in_one_word_may_be_lists(folder: Path) -> None:
    text = """
[curve]
timesteps = [8, 4]
tau = [5, 7.5]
[convert]
timesteps = "auto"
analog = ["a", "b"]
outputs = ["y", "z"]
[inspect]
input = [3, 64, 64]
[demo]
timesteps = "4,8"
"""
    curve, demo = understood(folder, text, "curve"), understood(folder, text, "demo")
    assert (curve["timesteps"], curve["taus"], demo["timesteps"]) == ([4, 8], (5.0, 7.5), [4, 8])
    convert = understood(folder, text, "convert", "mnist_mlp")
    assert (convert["outputs"], convert["analog"], convert["timesteps"]) == (["y", "z"], ("a", "b"), "auto")
    assert understood(folder, text, "inspect", "net.onnx")["shape"] == [3, 64, 64]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[convert]\ntreshold = 1\n", "unknown option 'treshold' in [convert]; did you mean 'threshold'?"),
        ("[evaluate]\nearly_exi = 1\n", "unknown option 'early_exi' in [evaluate]; did you mean 'early_exit'?"),
        ("[convert]\nmax-spikes = 2\n", "did you mean 'max_spikes'?"),
        ("[evaluate]\nquux = 2\n", "unknown option 'quux' in [evaluate]"),
        ("[curve]\nthreshold = 2\n", "unknown option 'threshold' in [curve]"),
        ("[convrt]\n", "unknown table [convrt]; did you mean 'convert'?"),
        ("[completion]\n", "unknown table [completion]"),
        ("[respike]\nsampels = 2\n", "unknown option 'sampels' in [respike]; did you mean 'samples'?"),
        ("[convert]\nconfig = 'x'\n", "unknown option 'config' in [convert]"),
        ("convert = 2\n", "convert must be a table of options, [convert]"),
        ("timesteps = 2\n", "unknown table [timesteps]"),
        ("[convert]\nsamples = 'many'\n", "[convert] samples: 'many' is not a valid integer"),
        ("[convert]\nsamples = 6.5\n", "[convert] samples: '6.5' is not a valid integer"),
        ("[convert]\nsamples = true\n", "[convert] samples: 'True' is not a valid integer"),
        ("[convert]\npercentile = 'high'\n", "[convert] percentile: 'high' is not a valid float"),
        ("[convert]\npercentile = true\n", "[convert] percentile: 'True' is not a valid float"),
        ("[convert]\ntimesteps = 2.5\n", "[convert] timesteps: '2.5' is neither a whole number nor auto"),
        ("[convert]\ntimesteps = [2, 4]\n", "[convert] timesteps must be a single value, got [2, 4]"),
        ("[convert.samples]\n", "[convert] samples must be a single value, got {}"),
        ("[convert]\nneuron = 'lfi'\n", "[convert] neuron: 'lfi' is not one of"),
        ("[convert]\nneuron = 'lfi'\n", "did you mean 'lif'?"),
        ("[convert]\njson = 1\n", "[convert] json must be true or false, got 1"),
        ("[curve]\ntau = ['slow']\n", "[curve] tau: 'slow' is not a valid float"),
        ("[curve]\ntimesteps = [2.5]\n", "[curve] timesteps: ['2.5'] is not a list of whole numbers"),
        ("[demo]\nsamples = 0\n", "[demo] samples: 0 is not in the range"),
        ("[convert\n", "is not a TOML file"),
    ],
)
def test_what_cannot_be_is_named(folder: Path, text: str, message: str) -> None:
    result = run("convert", "mnist_mlp", "--config", config(folder, text))
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "options.toml" in result.stderr and "Traceback" not in result.stderr
