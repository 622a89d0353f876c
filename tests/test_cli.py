"""The command line, read as a user reads it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch import nn

from respike.cli import main


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def tiny() -> nn.Module:
    """What ``test_cli:tiny`` names on the command line."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))


def test_info_says_which_kernels_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "kernels on cpu" in run("info").output
    monkeypatch.setenv("RESPIKE_KERNELS", "eager")
    told = json.loads(run("info", "--json").output)
    assert told["kernels on cpu"].startswith("eager") and told["torch"] == torch.__version__.partition("+")[0]
    monkeypatch.setenv("RESPIKE_KERNELS", "fast")
    result = run("info")
    assert result.exit_code == 1
    assert "RESPIKE_KERNELS='fast': there are eager, numba, triton" in result.output


def test_help_says_where_to_begin() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Start with `respike demo`" in result.output
    for command in ("demo", "convert", "evaluate", "inspect", "curve", "playground", "info"):
        assert run(command, "--help").exit_code == 0
        assert command in result.output


def test_demo_prints_the_table_and_writes_the_figure(tmp_path: Path) -> None:
    figure = tmp_path / "demo.png"
    result = run("demo", "-T", "2,4", "--samples", "100", "-o", str(figure))
    assert result.exit_code == 0, result.output
    rows = [line.split()[0] for line in result.output.splitlines() if line.strip()]
    assert rows == ["MNIST", "T", "2", "4", "ANN", "100", "figure:"]
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_convert_shows_layers_as_a_table_and_as_json() -> None:
    args = ("convert", "mnist_mlp", "-T", "4", "--samples", "32", "--threshold", "max")
    assert "net.2 (ReLU)" in run(*args).output
    found = json.loads(run(*args, "--json").output)
    assert [layer["where"] for layer in found["layers"]] == ["net.2 (ReLU)", "net.4 (ReLU)"]


def test_convert_says_what_a_pipelined_network_takes() -> None:
    args = ("convert", "mnist_mlp", "-T", "4", "--samples", "32", "--threshold", "max", "--delay", "2")
    lines = run(*args, "--schedule", "pipelined").output.splitlines()
    assert lines[-1] == "schedule pipelined, delay 2, T = 4, latency 6 steps"
    assert "delay belongs to schedule='pipelined'" in run(*args).output


def test_timesteps_and_code_can_be_left_to_the_search() -> None:
    args = ("convert", "mnist_mlp", "-T", "auto", "--within", "3", "--samples", "40", "--prefer", "latency")
    shown = run(*args, "--neuron", "signed")
    assert shown.exit_code == 0, shown.output
    assert "has the smallest T of all that decide as the ANN on at least 97 %" in shown.output
    choice = json.loads(run(*args, "--json").output)["choice"]
    assert choice["agreement"] >= 0.97
    assert (choice["within"], choice["prefer"], choice["samples"]) == (3, "latency", 40)
    assert choice["timesteps"] in {trial["timesteps"] for trial in choice["trials"]}
    assert "neither a whole number nor auto" in run("convert", "mnist_mlp", "-T", "fast").output


def test_evaluate_a_model_of_ones_own_with_weights_and_arrays(tmp_path: Path) -> None:
    save_file({k: v.contiguous() for k, v in tiny().state_dict().items()}, tmp_path / "tiny.safetensors")
    torch.save(tiny().state_dict(), tmp_path / "tiny.pt")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.random((30, 1, 28, 28), np.float32), y=rng.integers(0, 10, 30))
    for weights in ("tiny.safetensors", "tiny.pt"):
        result = run(
            *("evaluate", "test_cli:tiny", "--weights", str(tmp_path / weights), "-T", "8", "--json"),
            *("--calibration", str(tmp_path / "data.npz"), "--data", str(tmp_path / "data.npz")),
        )
        assert result.exit_code == 0, result.output
        assert len(json.loads(result.output)["accuracy"]) == 8


def test_evaluate_says_what_stopping_early_saves_and_what_float32_would_decide(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.random((30, 1, 28, 28), np.float32), y=rng.integers(0, 10, 30))
    data = ("--calibration", str(tmp_path / "data.npz"), "--data", str(tmp_path / "data.npz"))
    options = ("--early-exit", "90", "--precision", "auto", "--against-float32")
    shown = run("evaluate", "test_cli:tiny", "-T", "6", *data, *options)
    assert shown.exit_code == 0, shown.output
    for words in ("mean latency", "% within", "as float32", "is the fastest here"):
        assert words in shown.output
    told = json.loads(run("evaluate", "test_cli:tiny", "-T", "6", *data, *options, "--json").output)
    assert told["early_exit"]["agreement"] >= 0.9
    assert len(told["float32_agreement"]) == 6
    assert told["precision_choice"]["samples"] == 30
    refused = run("evaluate", "test_cli:tiny", "-T", "6", *data, "--early-exit", "120")
    assert refused.exit_code == 1
    assert "agreement is in percent" in refused.output


class Explode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["convert", "mnist_cn"], "did you mean mnist_cnn"),
        (["convert", "torchvision:resnet81"], "torchvision has no model 'resnet81'; did you mean"),
        (["convert", "nowhere.module:net"], "cannot make a model"),
        (["convert", "json:dumps"], "cannot make a model"),
        (["convert", "builtins:dict"], "not a torch.nn.Module"),
        (["convert", "mnist_cnn", "--weights", "none.pt"], "there is no weights file none.pt"),
        (["convert", "mnist_cnn", "--weights", "evil.pt"], "cannot read weights"),
        (["convert", "mnist_cnn", "--weights", "torn.safetensors"], "cannot read weights"),
        (["convert", "mnist_cnn", "--calibration", "minst"], "no data set is called 'minst'"),
        (["convert", "mnist_cnn", "--calibration", "random:3xlarge"], "not of the form random:3x64x64"),
        (["convert", "mnist_cnn", "--calibration", "random:3x64x64"], "fails on calibration samples"),
        (["convert", "mnist_cnn", "--calibration", "folder:nowhere"], "no folder of class folders"),
        (["convert", "mnist_cnn", "--calibration", "empty.npz"], "must hold x"),
        (["convert", "mnist_mlp", "--analog", "net.9"], "did you mean net."),
        (["evaluate", "mnist_cnn", "--data", "fashion_mnist"], "does not ship with respike"),
        (["curve", "-o", "nowhere/curves.png"], "the folder nowhere does not exist"),
        (["playground", "-o", "nowhere/page.html"], "the folder nowhere does not exist"),
    ],
)
def test_mistakes_are_named_with_exit_code_1(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Explode()}, "evil.pt")
    Path("torn.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{")
    np.savez("empty.npz", images=np.zeros(3))
    result = run(*args)
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    "args", [["demo", "-T", "4,x"], ["curve", "--tau", "0"], ["convert"], ["evaluate", "x", "-T", "a"]]
)
def test_wrong_usage_is_exit_code_2(args: list[str]) -> None:
    assert run(*args).exit_code == 2


def test_curve_draws_a_figure(tmp_path: Path) -> None:
    for name, start in (("c.png", b"\x89PNG"), ("c.svg", b"<?xml"), ("c.pdf", b"%PDF")):
        assert run("curve", "-T", "4,8", "--tau", "5", "-o", str(tmp_path / name)).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert run("curve", "-o", str(tmp_path / "c.docx")).exit_code == 1
    found = json.loads(run("curve", "-T", "4", "-o", str(tmp_path / "c.png"), "--json").stdout)
    rates = np.array(found["rates"]["IAF, θ/2 start"]["T = 4"])
    assert np.abs(rates - np.clip(found["current"], 0, 1)).max() <= 1 / 8 + 1e-6


def test_curve_draws_every_neuron_beside_its_closed_form(tmp_path: Path) -> None:
    figure = tmp_path / "c.png"
    found = json.loads(run("curve", "--neuron", "all", "-T", "16", "-o", str(figure), "--json").stdout)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert {"IAF", "Lapicque", "Leaky", "RSynaptic", "SRM0", "TextbookLIF", "ALIF"} <= set(found)
    for curve in found.values():
        drive, measured, form = (np.array(curve[key]) for key in ("drive", "measured", "closed_form"))
        assert measured[drive < curve["rheobase"] - 1e-3].max() == 0 < measured[-1]
        assert curve["closed_form"] is None or np.abs(measured - form).mean() < 1e-3
    assert sum(curve["closed_form"] is not None for curve in found.values()) == 8
    assert run("curve", "--neuron", "Leaky", "-o", str(tmp_path / "one.svg")).exit_code == 0
    unknown = run("curve", "--neuron", "leaky", "-o", str(figure))
    assert unknown.exit_code == 1 and "unknown neuron 'leaky'; known are IAF" in unknown.output


def test_playground_writes_one_page_that_asks_for_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    result = run("playground", "-o", str(page))
    assert result.exit_code == 0 and result.output == f"page: {page}\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "{{" not in text and "window.respike" in text
    assert not re.search(r"""\b(src|href)\s*=\s*["'](?!#|data:,")|@import|url\(|\bimport\b.*\bfrom\b""", text)


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


FIXTURES = Path(__file__).parent / "convert" / "onnx_import" / "fixtures"


def test_inspect_shows_what_each_node_becomes() -> None:
    result = run("inspect", str(FIXTURES / "sklearn_classifier.onnx"))
    assert result.exit_code == 0, result.output
    assert "written by skl2onnx" in result.output and "judged for --outputs out_activations_result" in result.output
    verdicts = {line.split()[0]: line for line in result.output.splitlines() if line}
    assert "spiking neurons" in verdicts["Relu"]
    assert "bias of MatMul" in verdicts["Add"]
    assert "not needed for the outputs" in verdicts["ZipMap"]
    assert result.output.rstrip().endswith("converts")
    found = json.loads(run("inspect", str(FIXTURES / "keras_cnn.onnx"), "--json").output)
    assert found["operators"]["Conv"] == 2 and found["problem"] == ""


def test_inspect_of_what_does_not_convert_says_why_and_fails(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", "n"]) for n in "xy"]
    nodes = [helper.make_node(op, [a], [b], f"the {op}") for op, a, b in (("Elu", "x", "e"), ("Relu", "e", "y"))]
    model = helper.make_model(helper.make_graph(nodes, "net", shapes[:1], shapes[1:]), ir_version=8)
    model.opset_import[0].version = 17
    save(model, tmp_path / "net.onnx")
    path = str(tmp_path / "net.onnx")
    assert "give the shape of one sample" in run("inspect", path).output
    result = run("inspect", path, "--input", "5")
    assert result.exit_code == 1
    assert "the Elu" in result.output and "is curved, and no firing rate follows it" in result.output
    result = run("convert", path, "--calibration", "random:5")
    assert result.exit_code == 1 and "the Elu (Elu)" in result.output


def test_an_onnx_file_is_a_model_like_any_other() -> None:
    path, data = FIXTURES / "sklearn_pipeline.onnx", FIXTURES / "sklearn_pipeline.npz"
    args = ("convert", str(path), "--calibration", str(data), "--outputs", "out_activations_result", "--json")
    assert [layer["where"] for layer in json.loads(run(*args).output)["layers"]] == ["Relu (Relu)", "Relu1 (Relu)"]
    result = run("convert", str(path), "--calibration", str(data))
    assert result.exit_code == 1 and "outputs=['out_activations_result']" in result.output
    assert "for ONNX files" in run("convert", "mnist_mlp", "--verify").output
    assert "holds its own weights" in run("convert", str(path), "--weights", "x.pt").output


def test_verify_says_how_far_the_numbers_are_apart() -> None:
    pytest.importorskip("onnxruntime")
    result = run("inspect", str(FIXTURES / "keras_mlp.onnx"), "--verify")
    assert result.exit_code == 0 and "differs from onnxruntime by" in result.output
