"""What --show prints does what the run does: each of the three is run."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from cli_models import run, write_data
from click.core import ParameterSource

import respike
from respike.cli import main

FIXTURES = Path(__file__).parent.parent / "convert" / "onnx_import" / "fixtures"
TINY = "cli_models:tiny --calibration data.npz --samples 20"
RUNS = {
    "convert": f"convert {TINY} -T 3 --max-spikes 2 -o net.respike",
    "convert with a budget": f"convert {TINY} -T 3 --budget 2 --schedule pipelined --delay 2 --correction bias",
    "convert a file": "convert kept.respike -T 16",
    "convert ONNX": f"convert {FIXTURES / 'keras_mlp.onnx'} --calibration {FIXTURES / 'keras_mlp.npz'} --verify -T 4",
    "convert, left to the search": "convert mnist_mlp -T auto --within 20 --samples 24 --neuron signed",
    "evaluate": f"evaluate {TINY} --data data.npz -T 3 --early-exit 90 --against-float32 --batch-size 7 --cost "
    "-o a.svg",
    "evaluate, weights": f"evaluate {TINY} --data data.npz -T 3 --weights tiny.pt --precision int8",
    "evaluate a file": "evaluate kept.respike --ann cli_models:tiny --data data.npz --calibration data.npz "
    "--early-exit 80",
    "evaluate a file alone": "evaluate kept.respike --data data.npz -T 9 --cost --energy 45nm-int8",
    "diagnose": f"diagnose {TINY} --data unlabelled.npz -T 3 --seed 2",
    "diagnose a file": "diagnose kept.respike --ann cli_models:tiny --data data.npz --samples 9",
    "report": f"report {TINY} --data data.npz -T 3 --energy 45nm-memory --classes {','.join('abcdefghij')} -o a.json",
    "report of a file": "report kept.respike --ann cli_models:tiny --data data.npz --sample 3 -o a.json --csv tables",
    "report of a report": "report kept.json --name another -o a.html",
    "comparison": "report kept.json kept.json -o a.html",
    "demo": "demo -T 2 --samples 40 -o demo.png",
    "inspect": f"inspect {FIXTURES / 'keras_mlp.onnx'} --verify",
    "curve": "curve -T 4,8 --tau 7 -o curve.png",
    "curve of a neuron": "curve --neuron Leaky -T 16 --tau 5 -o leaky.png",
    "playground": "playground -o page.html",
    "info": "info",
}
ALL_WAYS = {"info", "playground"}
"""Quick enough to be run as a command line and from a file too; of the others it is compared what is understood."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from cli_models import tiny

    path = tmp_path_factory.mktemp("show")
    data = write_data(path / "data.npz")
    write_data(path / "unlabelled.npz", labels=False)
    torch.save(tiny().state_dict(), path / "tiny.pt")
    made = run("convert", "cli_models:tiny", "--calibration", data, "-T", "5", "-o", str(path / "kept.respike"))
    assert made.exit_code == 0
    judged = run("evaluate", str(path / "kept.respike"), "--data", data, "--ann", "cli_models:tiny", "--json")
    (path / "kept.json").write_text(judged.stdout)
    return path


def written(folder: Path, kept: set[Path]) -> dict[str, int]:
    """Names and sizes of the files and folders that a run wrote, which are taken away.

    A report says which command made it and when it was a program that did; its size is left out.
    """
    found = {}
    for path in set(folder.iterdir()) - kept:
        told = path.suffix == ".json"
        found[path.name] = 0 if told or path.is_dir() else path.stat().st_size
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return found


def parsed(args: list[str]) -> dict[str, tuple[object, bool]]:
    """What a command understands: values, and whether they were given."""
    context = main.commands[args[0]].make_context(args[0], args[1:])
    default = ParameterSource.DEFAULT
    return {name: (value, context.get_parameter_source(name) != default) for name, value in context.params.items()}


# An untrained network on few samples, and a longer run than it was calibrated for: what is printed is compared.
@pytest.mark.filterwarnings("ignore:early exit compares decisions", "ignore:this network runs 9 timesteps")
@pytest.mark.parametrize("typed", RUNS.values(), ids=RUNS)
def test_each_equivalent_does_the_same(typed: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    few = respike.models.datasets.calibration()[:24]  # with all 512 the demo would take a minute
    monkeypatch.setattr(respike.models.datasets, "calibration", lambda: few)
    kept = set(folder.iterdir())
    args = shlex.split(typed)
    told = run(*args, "--show", *(["--json"] if args[0] != "playground" else []))
    if args[0] == "playground":
        parts = told.stdout.split("\n\n# ")
        texts = [part.partition("\n")[2] for part in parts]
        equivalents = dict(zip(("command", "toml", "python"), texts, strict=True))
    else:
        equivalents = json.loads(told.stdout)
        text = run(*args, "--show").stdout
        assert all(part in text for part in equivalents.values())
    assert not written(folder, kept)  # nothing was done

    result = run(*args)
    assert result.exit_code == 0, result.output
    files = written(folder, kept)

    program, *words = shlex.split(equivalents["command"])
    assert program == "respike" and parsed(words) == parsed(args)
    path = folder.parent / f"{folder.name}.toml"
    path.write_text(equivalents["toml"], encoding="utf-8")
    assert list(tomllib.loads(equivalents["toml"])) == [args[0]]
    assert parsed([args[0], "--config", str(path)]) == parsed(args)
    if args[0] in ALL_WAYS:
        for way in (words, [args[0], "--config", str(path)]):
            again = run(*way)
            assert (again.stdout, written(folder, kept)) == (result.stdout, files)

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(equivalents["python"], typed, "exec"), {"__name__": "shown"})
    assert (printed.getvalue(), written(folder, kept)) == (result.stdout, files)


def test_awkward_names_survive(tmp_path: Path) -> None:
    name = """a 'b' "c" \\d\n\u00e9\U0001f600\x7f.onnx"""
    told = json.loads(run("inspect", "--show", "--json", "--outputs=-x,y", "--", name).stdout)
    assert shlex.split(told["command"])[2:] == [name, "--outputs=-x,y"]
    assert tomllib.loads(told["toml"]) == {"inspect": {"file": name, "outputs": ["-x", "y"]}}
    assert compile(told["python"], "shown", "exec")
    dashed = json.loads(run("convert", "--show", "--json", "--", "-net.respike").stdout)["command"]
    assert json.loads(run(*shlex.split(dashed)[1:-2], "--show", "--json", "--", "-net.respike").stdout)
    assert shlex.split(dashed)[-2:] == ["--", "-net.respike"]
