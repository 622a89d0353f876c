"""Networks from files on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_models import run, tiny, write_data
from safetensors.torch import save_file

import respike
from respike.cli.network import data_name
from respike.convert.identity import digest_of_network


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


def test_convert_goes_on_from_its_file(folder: Path, tmp_path: Path) -> None:
    args = ("--calibration", str(folder / "data.npz"), "-T", "6", "--samples", "20", "--max-spikes", "2")
    for name in ("first", "second"):
        made = run(
            *("convert", "cli_models:tiny", *args, "-o", str(tmp_path / f"{name}.respike")),
            *("--resume", str(tmp_path / "done")),
        )
        assert made.exit_code == 0, made.output
        found, wanted = (respike.load(place / f"{file}.respike") for place, file in ((tmp_path, name), (folder, "net")))
        assert digest_of_network(found) == digest_of_network(wanted)
    other = run("convert", "cli_models:tiny", *args, "--seed", "3", "--resume", str(tmp_path / "done"))
    assert other.exit_code == 1
    assert "it was made with --seed 0, and this has --seed 3" in other.stderr


@pytest.mark.filterwarnings("ignore:this network runs 9 timesteps")  # on purpose
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


@pytest.mark.slow
def test_endings_in_capitals_are_the_same_endings(folder: Path, tmp_path: Path) -> None:
    for name in ("net.respike", "data.npz"):
        (tmp_path / name.upper()).write_bytes((folder / name).read_bytes())
    onnx = Path(__file__).parent.parent / "convert" / "onnx_import" / "fixtures" / "keras_mlp.onnx"
    (tmp_path / "NET.ONNX").write_bytes(onnx.read_bytes())
    torch.save(tiny().state_dict(), tmp_path / "W.PTH")
    save_file(tiny().state_dict(), tmp_path / "W.SAFETENSORS")
    net, data, report = (str(tmp_path / name) for name in ("NET.RESPIKE", "DATA.NPZ", "REPORT.JSON"))
    assert run("evaluate", net, "--data", data, "-o", str(tmp_path / "FIGURE.PNG")).exit_code == 0
    assert (
        run("evaluate", net, "--data", data, "--json").stdout
        == run("evaluate", str(folder / "net.respike"), "--data", str(folder / "data.npz"), "--json").stdout
    )
    assert run("convert", str(tmp_path / "NET.ONNX"), "--calibration", "random:20", "-T", "2").exit_code == 0
    for name in ("W.PTH", "W.SAFETENSORS"):
        args = ("--calibration", data, "-T", "2", "--samples", "9", "-o", str(tmp_path / "MADE.RESPIKE"))
        assert run("convert", "cli_models:tiny", "--weights", str(tmp_path / name), *args).exit_code == 0
    assert "Name the model, and --weights W.PTH" in run("convert", "W.PTH").stderr
    assert run("report", net, "--data", data, "--calibration", data, "--samples", "9", "-o", report).exit_code == 0
    assert run("report", report, "-o", str(tmp_path / "PAGE.HTML")).exit_code == 0
    assert json.loads(Path(report).read_text())["format"] == "respike report 1"


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (["convert", "net.respike"], "other.respike"),
        (["evaluate", "net.respike", "--data", "data.npz"], "figure.png"),
        (["playground"], "page.html"),
        (["report", "net.respike", "--data", "data.npz", "--calibration", "data.npz", "--samples", "9"], "page.html"),
    ],
)
def test_a_full_disk_is_said_and_leaves_what_was_there(
    command: list[str], output: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="of POSIX systems only")
    monkeypatch.chdir(folder)
    (tmp_path / output).write_text("before")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, limit[1]))
    try:
        result = run(*command, "-o", str(tmp_path / output))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    unchanged = "file too large; the file that was there is unchanged"
    assert result.exit_code == 1 and result.stderr == f"Error: cannot write {tmp_path / output}: {unchanged}\n"
    assert [file.name for file in tmp_path.iterdir()] == [output] and (tmp_path / output).read_text() == "before"


def test_early_exit_of_a_file_takes_calibration_samples(folder: Path) -> None:
    data, saved = str(folder / "data.npz"), str(folder / "net.respike")
    result = run(
        "evaluate",
        saved,
        "--data",
        data,
        "--calibration",
        data,
        "--early-exit",
        "90",
        "--judge",
        "decision",
        "--samples",
        "9",
    )
    assert result.exit_code == 0 and "mean latency" in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--threshold", "max", "--max-spikes", "3"], "is already converted; --threshold, --max-spikes cannot be"),
        (["-T", "auto"], "-T must be a number"),
        (["--weights", "x.pt"], "contains its own weights; --weights only applies to the network"),
        (["--ann", "net.respike"], "holds a spiking network; expected a trained network that is not spiking"),
        (["--ann", "cli_models:other"], "cli_models:other does not take the samples of"),
        (["--ann", "mnist_cn"], "did you mean 'mnist_cnn'?"),
        (["--early-exit", "99"], "name its data with --calibration"),
    ],
)
def test_what_is_settled_cannot_be_chosen(folder: Path, args: list[str], message: str) -> None:
    result = run("evaluate", str(folder / "net.respike"), "--data", str(folder / "data.npz"), *args)
    assert result.exit_code == 1 and message in result.stderr


def test_inputs_that_move(tmp_path: Path) -> None:
    """The file knows it; ``diagnose`` and ``evaluate`` show the ANN the mean of the frames."""
    frames, net = write_data(tmp_path / "frames.npz", 40, (5, 1, 28, 28)), str(tmp_path / "net.respike")
    result = run("convert", "cli_models:tiny", "--calibration", frames, "--frames", "-T", "5", "-o", net)
    assert result.exit_code == 0, result.output
    assert "a frame for each timestep: input" in result.stdout
    result = run("evaluate", net, "--ann", "cli_models:tiny", "--data", frames, "--json")
    assert result.exit_code == 0, result.output
    x = torch.from_numpy(np.load(frames)["x"])
    agreed = (respike.load(net)(x).argmax(1) == tiny()(x.mean(1)).argmax(1)).double().mean()
    assert json.loads(result.stdout)["agreement"][-1] == pytest.approx(float(agreed))
    each = run("evaluate", net, "--ann", "cli_models:tiny", "--data", frames, "--ann-on", "frames")
    assert "the mean of its outputs on each frame" in each.output
    result = run("diagnose", net, "--ann", "cli_models:tiny", "--data", frames)
    assert result.exit_code == 0, result.output
    still = write_data(tmp_path / "still.npz")
    result = run("evaluate", net, "--data", still)
    assert result.exit_code == 1
    assert "must have shape (N, T, 1, 28, 28), got" in result.stderr
    result = run("convert", "cli_models:tiny", "--calibration", still, "--frames", "-T", "5")
    assert result.exit_code == 1, result.output
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("typed", "message", "status"),
    [
        ("convert mnist_mlp --scale 3", "--scale has no effect without --encode", 1),
        ("convert mnist_mlp --encode morse", "'morse' is not one of 'rate', 'poisson', 'error_diffusion'", 2),
        ("convert mnist_mlp --encode rate --scale 0", "scale must be a number, above 0", 1),
        ("convert mnist_mlp --encode delta", "the encoder 'delta' is for inputs that move", 1),
        ("evaluate mnist_mlp --ann-on frames", "--ann-on frames is for inputs that move", 1),
    ],
)
def test_mistakes_about_encoders(typed: str, message: str, status: int) -> None:
    result = run(*typed.split())
    assert result.exit_code == status
    assert message in " ".join(result.stderr.split())


def test_a_network_with_an_encoder(tmp_path: Path) -> None:
    """It is in the file, with the seed and the scale that were given."""
    images, net = write_data(tmp_path / "images.npz", 40, (1, 28, 28)), str(tmp_path / "net.respike")
    options = ("--encode", "poisson", "--seed", "7", "--scale", "2", "-T", "5", "-o", net)
    result = run("convert", "cli_models:tiny", "--calibration", images, *options)
    assert "events: input by poisson, scale 2" in result.output
    (encoding,) = respike.load(net).graph.encodings.values()
    assert encoding == respike.Encoding("poisson", seed=7, scale=2.0)
    again = run("convert", net, "--encode", "rate")
    assert again.exit_code == 1
    assert "is already converted; --encode cannot be changed" in again.output


def test_data_that_ship_as_frames_are_found(tmp_path: Path) -> None:
    """As many as timesteps, or as the other data have."""
    file = str(tmp_path / "events.respike")
    options = ("--correction", "none", "--threshold", "max", "--samples", "40")
    made = run("convert", "mnist_events", "--frames", "-T", "6", *options, "-o", file)
    assert made.exit_code == 0, made.output
    assert respike.load(file).graph.moving == {"x"}
    odd = run("evaluate", file, "--ann", "mnist_events")
    assert odd.exit_code == 1 and "for 6 frames say mnist_events:6" in odd.stderr
    named = {"model": file, "ann": "mnist_events", "data": "mnist_events:6", "calibration": None}
    assert data_name(named, "calibration") == data_name(named, "data") == "mnist_events:6"
    assert data_name({**named, "calibration": "mnist_events:3"}, "calibration") == "mnist_events:3"
