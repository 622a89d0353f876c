"""Options from a TOML file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_models import run, write_data

CONVERT = """
[respike]                 # for every command that has the option
samples = 20
json = true
[convert]
model = "cli_models:tiny"
timesteps = 6
threshold = "max"
tau_mem = 10              # a whole number is a number
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
    args = ("cli_models:tiny", "--calibration", "data.npz", "--samples", "20", "--threshold", "max", "--json")
    from_file = run("convert", "--config", path)
    assert from_file.exit_code == 0, from_file.output
    assert from_file.stdout == run("convert", *args, "-T", "6").stdout
    won = json.loads(run("convert", "--config", path, "-T", "3").stdout)
    assert won["timesteps"] == 3
    assert run("convert", "mnist_cn", "--config", path).exit_code == 1  # the model, too


def test_a_commands_own_table_goes_before_the_common_one(folder: Path) -> None:
    path = config(folder, "[respike]\ntimesteps = 5\nsamples = 8\n[convert]\ntimesteps = 4\n")
    told = run("convert", "mnist_mlp", "--config", path, "--show").stdout
    assert "--timesteps 4" in told and "--samples 8" in told
    assert "--timesteps 5" in run("evaluate", "mnist_mlp", "--config", path, "--show").stdout
    assert "samples" not in run("curve", "--config", path, "--show").stdout  # which has no such option
    common = config(folder, '[respike]\nmodel = "mnist_mlp"\n')
    assert "respike report mnist_mlp\n" in run("report", "--config", common, "--show").stdout


def test_values_that_the_command_line_spells_in_one_word_are_lists(folder: Path) -> None:
    text = '[curve]\ntimesteps = [4, 8]\ntau = [5, 7.5]\n[convert]\nanalog = ["a", "b"]\noutputs = ["y", "z"]\n'
    path = config(folder, text + "[inspect]\ninput = [3, 64, 64]\n")
    assert "--timesteps 4,8 --tau 5.0 --tau 7.5" in run("curve", "--config", path, "--show").stdout
    shown = run("convert", "mnist_mlp", "--config", path, "--show").stdout
    assert "--outputs y,z" in shown and "--analog a --analog b" in shown
    assert "--input 3x64x64" in run("inspect", "net.onnx", "--config", path, "--show").stdout
    refused = run("demo", "--config", config(folder, '[demo]\ntimesteps = "8,4"\n'))
    assert refused.exit_code == 2
    assert "[demo] timesteps must be a whole number or a list of them, got '8,4'" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[convert]\ntreshold = 1\n", "[convert] has an option 'treshold' that there is not; did you mean threshold?"),
        ("[convert]\nmax-spikes = 2\n", "did you mean max_spikes?"),
        ("[evaluate]\nquux = 2\n", "[evaluate] has an option 'quux' that there is not"),
        ("[curve]\nthreshold = 2\n", "[curve] has an option 'threshold' that there is not"),
        ("[convrt]\n", "there is no command for the table [convrt]; did you mean convert?"),
        ("[respike]\nsampels = 2\n", "[respike] has an option 'sampels' that there is not; did you mean samples?"),
        ("[convert]\nconfig = 'x'\n", "[convert] has an option 'config'"),
        ("convert = 2\n", "convert must be a table of options, [convert], and is a value"),
        ("timesteps = 2\n", "there is no command for the table [timesteps]"),
        ("[convert]\nsamples = '64'\n", "[convert] samples must be a whole number, got '64'"),
        ("[convert]\nsamples = 6.5\n", "[convert] samples must be a whole number, got 6.5"),
        ("[convert]\nsamples = true\n", "[convert] samples must be a whole number, got True"),
        ("[convert]\npercentile = 'high'\n", "[convert] percentile must be a number, got 'high'"),
        ("[convert]\ntimesteps = 2.5\n", '[convert] timesteps must be a whole number or "auto", got 2.5'),
        ("[convert]\ntimesteps = 'fast'\n", "[convert] timesteps: 'fast' is neither a whole number nor auto"),
        ("[convert]\nneuron = 'lfi'\n", "[convert] neuron: 'lfi' is not one of"),
        ("[convert]\nneuron = 'lfi'\n", "did you mean lif?"),
        ("[convert]\nanalog = 'net.1'\n", "[convert] analog must be a list of strings, got 'net.1'"),
        ("[convert]\nanalog = [1]\n", "[convert] analog must be a list of strings, got [1]"),
        ("[convert]\njson = 1\n", "[convert] json must be true or false, got 1"),
        ("[convert]\noutput = 1\n", "[convert] output must be a string, got 1"),
        ("[curve]\ntau = ['slow']\n", "[curve] tau must be a list of numbers, got ['slow']"),
        ("[demo]\nsamples = 0\n", "[demo] samples: 0 is not in the range"),
        ("[convert\n", "is no TOML"),
    ],
)
def test_what_cannot_be_is_named(folder: Path, text: str, message: str) -> None:
    result = run("convert", "mnist_mlp", "--config", config(folder, text))
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "options.toml" in result.stderr and "Traceback" not in result.stderr
