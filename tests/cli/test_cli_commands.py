"""Each command does its work, on stdout as a table or as JSON and nothing else."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_models import run, tiny, write_data
from safetensors.torch import save_file

import respike

FIXTURES = Path(__file__).parent.parent / "convert" / "onnx_import" / "fixtures"


def test_info_says_which_kernels_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "kernels on cpu" in run("info").output
    path, model = tmp_path / "net.respike", respike.models.load("mnist_cnn")
    respike.from_torch(model, torch.rand(16, 1, 28, 28), 2, correction="none").save(path)
    assert "adds up events" in run("info", "--network", str(path)).output
    monkeypatch.setenv("RESPIKE_KERNELS", "eager")
    told = json.loads(run("info", "--json").stdout)
    assert told["kernels on cpu"].startswith("eager") and told["torch"] == torch.__version__.partition("+")[0]


@pytest.mark.slow
def test_demo_prints_the_table_and_writes_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = respike.models.datasets.calibration()[:24]  # with all 512 it takes ten times as long
    monkeypatch.setattr(respike.models.datasets, "calibration", lambda: few)
    figure = tmp_path / "demo.png"
    result = run("demo", "-T", "2", "--samples", "60", "-o", str(figure))
    assert result.exit_code == 0, result.output
    rows = [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
    assert rows == ["MNIST", "T", "2", "ANN", "60"]
    lines = result.stderr.splitlines()
    assert lines[0] == "loading PyTorch and a trained MNIST network"
    steps = ["T = 2: converting it to a spiking network", "T = 2: classifying 60 test images"]
    assert lines[-3:] == [*steps, f"figure: {figure}"]
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_convert_shows_layers_as_a_table_and_as_json() -> None:
    args = ("convert", "mnist_mlp", "-T", "4", "--samples", "32", "--threshold", "max")
    shown = run(*args).stdout
    assert "net.2 (ReLU)" in shown
    assert shown.splitlines()[-1].startswith("when converted, at T = 4: decided as the ANN on ")
    found = json.loads(run(*args, "--json").stdout)
    assert found["closeness"]["samples"] == 64  # maxima are read off all 512
    assert [layer["where"] for layer in found["layers"]] == ["net.2 (ReLU)", "net.4 (ReLU)"]


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")  # the second time
def test_finetune_learns_without_labels_and_saves(tmp_path: Path) -> None:
    tuned, again = tmp_path / "tuned.respike", tmp_path / "again.respike"
    options = ("--steps", "300", "--shift", "2")
    result = run("finetune", "mnist_mlp", "-T", "1", *options, "-o", str(tuned))
    assert result.exit_code == 0, result.output
    said = "on 64 samples that neither trained nor calibrated it, after T = 1:\nbefore: loss "
    assert result.stdout.startswith(said)
    before, after = (float(line.split()[2].rstrip(",")) for line in result.stdout.splitlines()[1:])
    assert after < before
    assert respike.load(tuned).closeness is not None
    refused = run("finetune", str(tuned), *options)
    assert refused.exit_code == 1
    assert "does not contain the ANN to learn from: name it" in refused.output
    found = run("finetune", str(tuned), "--ann", "mnist_mlp", *options, "--json", "-o", str(again))
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["after"]["loss"] <= told["before"]["loss"], told["held_back"]) == (True, 64)
    assert again.exists()


def test_finetune_wants_labels_where_they_are_asked_for() -> None:
    assert (
        "--labels needs labels, and mnist has none without --data-dir"
        in run("finetune", "mnist_mlp", "-T", "1", "--labels", "1").output
    )


def test_convert_says_what_a_pipelined_network_takes() -> None:
    args = ("convert", "mnist_mlp", "-T", "4", "--samples", "32", "--threshold", "max", "--delay", "2")
    lines = run(*args, "--schedule", "pipelined").output.splitlines()
    assert "schedule pipelined, delay 2, T = 4, latency 6 steps" in lines
    assert "--delay has no effect without --schedule pipelined" in run(*args).output


@pytest.mark.slow
def test_timesteps_and_code_can_be_left_to_the_search() -> None:
    args = ("convert", "mnist_mlp", "-T", "auto", "--within", "3", "--samples", "40", "--prefer", "latency")
    shown = run(*args, "--neuron", "signed")
    assert shown.exit_code == 0, shown.output
    assert "has the smallest T of all that decide as the ANN on at least 97 %" in shown.output
    choice = json.loads(run(*args, "--json").stdout)["choice"]
    assert choice["agreement"] >= 0.97
    assert (choice["within"], choice["prefer"], choice["samples"]) == (3, "latency", 40)
    assert choice["timesteps"] in {trial["timesteps"] for trial in choice["trials"]}


def test_evaluate_a_model_of_ones_own_with_weights_and_arrays(tmp_path: Path) -> None:
    save_file({k: v.contiguous() for k, v in tiny().state_dict().items()}, tmp_path / "tiny.safetensors")
    torch.save(tiny().state_dict(), tmp_path / "tiny.pt")
    data = write_data(tmp_path / "data.npz")
    for weights in ("tiny.safetensors", "tiny.pt"):
        result = run(
            *("evaluate", "cli_models:tiny", "--weights", str(tmp_path / weights), "-T", "8", "--json"),
            *("--calibration", data, "--data", data, "-o", str(tmp_path / f"{weights}.png")),
        )
        assert result.exit_code == 0, result.output
        assert len(json.loads(result.stdout)["accuracy"]) == 8
        assert result.stderr == f"figure: {tmp_path / weights}.png\n"


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net_of_the_current_folder.py").write_text("from torch.nn import *\nnet = lambda: Sequential(ReLU())\n")
    result = run("convert", "net_of_the_current_folder:net", "--calibration", "random:5", "--samples", "8")
    assert result.exit_code == 0 and "0 (ReLU)" in result.stdout


def test_evaluate_says_what_stopping_early_saves_and_what_float32_would_decide(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.npz")
    args = ("evaluate", "cli_models:tiny", "-T", "6", "--calibration", data, "--data", data)
    options = ("--early-exit", "90", "--precision", "int8", "--against-float32")
    shown = run(*args, *options)
    assert shown.exit_code == 0, shown.output
    for words in ("mean latency", "% within", "as float32"):
        assert words in shown.stdout
    told = json.loads(run(*args, *options, "--json").stdout)
    assert told["early_exit"]["agreement"] >= 0.9
    assert len(told["float32_agreement"]) == 6


def test_evaluate_says_what_it_costs_in_the_energy_that_was_asked_for(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.npz")
    args = ("evaluate", "cli_models:tiny", "-T", "4", "--calibration", data, "--data", data, "--cost")
    assert "In 4 timesteps the SNN takes" in run(*args).stdout
    told = json.loads(run(*args, "--energy", "45nm-int8", "--json").stdout)
    # A flattened image of 784 real values goes into 20 neurons, once: 8-bit products, added up in 32 bits.
    assert told["cost"]["parts"]["analog"][-1] >= 784 * 20 * (0.2 + 0.1)
    assert told["cost"]["model"]["name"] == "45 nm, 8-bit weights"
    assert "cost" not in json.loads(run(*args[:-1], "--json").stdout)


def test_a_reference_network_is_calibrated_and_judged_on_its_own_data_set() -> None:
    result = run("evaluate", "fashion_resnet")
    assert result.exit_code == 1
    assert "fashion_mnist does not ship with respike; pass data_dir (--data-dir)" in result.output


def test_diagnose_names_each_layer_and_splits_its_error(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.npz", labels=False)
    args = ("diagnose", "cli_models:tiny", "--calibration", data, "--data", data, "-T", "2", "--samples", "20")
    shown = run(*args)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^layer +error +propagated", shown.stdout) and "20 samples, T = 2" in shown.stdout
    told = json.loads(run(*args, "--json").stdout)
    assert (told["samples"], told["timesteps"]) == (20, 2)
    (layer,) = told["layers"]
    assert sum(part["share"] for part in layer["parts"].values()) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_report_writes_pages_files_and_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("altair")
    monkeypatch.chdir(tmp_path)
    data = write_data(tmp_path / "data.npz")
    args = ("report", "cli_models:tiny", "--calibration", data, "--data", data, "--classes", ",".join("abcdefghij"))
    made = run(*args, "-T", "3", "-o", "three.json", "--csv", "tables", "--json")
    assert made.exit_code == 0, made.output
    report = json.loads(made.stdout)
    assert report == json.loads(Path("three.json").read_text())
    assert report["name"] == "cli_models:tiny" and report["decisions"]["classes"] == list("abcdefghij")
    typed = shlex.split(report["run"]["command"])
    assert typed[:5] == ["respike", "report", "cli_models:tiny", "--calibration", data]
    assert typed[typed.index("--classes") + 1] == "a,b,c,d,e,f,g,h,i,j" and typed[-1] == "--json"
    assert report["run"]["data"] == data and report["early_exit"] and report["diagnosis"]
    assert len((tmp_path / "tables" / "timesteps.csv").read_text().splitlines()) == 1 + 3

    judged = run("evaluate", *args[1:6], "-T", "2", "--json")
    Path("two.json").write_text(judged.stdout)
    page = run("report", "three.json", "two.json", "-o", "both.html")
    assert page.exit_code == 0 and page.stderr == "page: both.html\n" and not page.stdout
    assert "cli_models:tiny" in Path("both.html").read_text() and "two" in Path("both.html").read_text()
    refused = run("report", "three.json", "two.json", "-o", "both.json")
    assert refused.exit_code == 1 and "needs a single report" in refused.stderr
    named = run("report", "three.json", "--name", "my net", "--charts", "figures", "-o", "my.html")
    assert named.exit_code == 0 and "<title>my net" in Path("my.html").read_text()
    assert all(path.read_text().startswith("<svg") for path in Path("figures").iterdir())


def test_a_report_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    data = write_data(tmp_path / "data.npz")
    Path(tmp_path / "a.json").write_text(
        run("evaluate", "cli_models:tiny", "--calibration", data, "--data", data, "-T", "2", "--json").stdout
    )
    result = run("report", str(tmp_path / "a.json"), "-o", str(tmp_path / "a.html"))
    assert result.exit_code == 1 and "pip install 'respike[report]'" in result.stderr
    assert not (tmp_path / "a.html").exists()


def test_torchvision_networks_without_weights_are_the_same_every_time() -> None:
    first, second = (respike.sources.find_model("torchvision:squeezenet1_1") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_curve_draws_a_figure(tmp_path: Path) -> None:
    for name, start in (("c.png", b"\x89PNG"), ("c.svg", b"<?xml")):
        assert run("curve", "-T", "4,8", "--tau", "5", "-o", str(tmp_path / name)).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
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


def test_playground_writes_one_page_that_asks_for_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    result = run("playground", "-o", str(page))
    assert result.exit_code == 0 and result.stderr == f"page: {page}\n" and not result.stdout
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "{{" not in text and "window.respike" in text
    assert not re.search(r"""\b(src|href)\s*=\s*["'](?!#|data:,")|@import|url\(|\bimport\b.*\bfrom\b""", text)


def test_inspect_shows_what_each_node_becomes() -> None:
    result = run("inspect", str(FIXTURES / "sklearn_classifier.onnx"))
    assert result.exit_code == 0, result.output
    assert "written by skl2onnx" in result.output and "judged for --outputs out_activations_result" in result.output
    verdicts = {line.split()[0]: line for line in result.output.splitlines() if line}
    assert "spiking neurons" in verdicts["Relu"]
    assert "bias of MatMul" in verdicts["Add"]
    assert "not needed for the outputs" in verdicts["ZipMap"]
    assert result.output.rstrip().endswith("converts")
    found = json.loads(run("inspect", str(FIXTURES / "keras_cnn.onnx"), "--json").stdout)
    assert found["operators"]["Conv"] == 2 and found["problem"] == ""


def test_inspect_of_what_does_not_convert_says_why_and_fails(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", "n"]) for n in "xy"]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [5, 5], torch.eye(5).flatten().tolist())
    layer = helper.make_node("MatMul", ["x", "w"], ["a"])
    chain = (("Relu", "a", "b"), ("Sign", "b", "e"), ("Relu", "e", "y"))
    nodes = [layer, *(helper.make_node(op, [a], [b], f"the {op}") for op, a, b in chain)]
    model = helper.make_model(helper.make_graph(nodes, "net", shapes[:1], shapes[1:], [weight]), ir_version=8)
    model.opset_import[0].version = 17
    save(model, tmp_path / "net.onnx")
    path = str(tmp_path / "net.onnx")
    assert "give the shape of one sample" in run("inspect", path).output
    result = run("inspect", path, "--input", "5")
    assert result.exit_code == 1
    assert "the Sign" in result.output and "is not supported yet" in result.output
    result = run("convert", path, "--calibration", "random:5")
    assert result.exit_code == 1 and "the Sign (Sign)" in result.output


def test_an_onnx_file_is_a_model_like_any_other() -> None:
    path, data = FIXTURES / "sklearn_pipeline.onnx", FIXTURES / "sklearn_pipeline.npz"
    args = ("convert", str(path), "--calibration", str(data), "--outputs", "out_activations_result", "--json")
    assert [layer["where"] for layer in json.loads(run(*args).stdout)["layers"]] == ["Relu (Relu)", "Relu1 (Relu)"]
    result = run("convert", str(path), "--calibration", str(data))
    assert result.exit_code == 1 and "outputs=['out_activations_result']" in result.output


def test_verify_says_how_far_the_numbers_are_apart() -> None:
    pytest.importorskip("onnxruntime")
    result = run("inspect", str(FIXTURES / "keras_mlp.onnx"), "--verify")
    assert result.exit_code == 0 and "differs from onnxruntime by" in result.stderr
