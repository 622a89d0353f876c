"""What a user reads after a mistake: one message that names it, exit code 1, or 2 for wrong usage; no traceback."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_models import every_command, run, write_data
from safetensors.torch import save_file

from respike import sources
from respike.report.contents.report import NEEDED

FIXTURES = Path(__file__).parent.parent / "convert" / "onnx_import" / "fixtures"


ONNX = str(FIXTURES / "keras_mlp.onnx")


TINY = "cli_models:tiny --calibration square.npz -T 2 --samples 9"


EVALUATE, DIAGNOSE, REPORT = f"evaluate {TINY}", f"diagnose {TINY}", f"report {TINY}"


MISTAKES: list[tuple[str, str, int]] = [
    ("convrt mnist_cnn", "No such command 'convrt'. Did you mean 'convert'?", 2),
    ("demo -T 4,x", "'4,x' is not a list of whole numbers such as 4,8,16", 2),
    ("demo --samples 0", "0 is not in the range 1<=x<=10000", 2),
    ("demo -o nowhere/demo.png", "the folder nowhere does not exist", 1),
    ("demo --smaples 9", "No such option '--smaples'. Did you mean", 2),
    ("inspect nowhere.onnx", "there is no file nowhere.onnx", 1),
    (f"inspect {ONNX} --input 3xlarge", "'3xlarge' is not of the form 3x64x64", 2),
    ("inspect torn.onnx", "torn.onnx", 1),
    ("convert", "Missing argument 'MODEL'", 2),
    ("convert mnist_cn", "no model is called 'mnist_cn'; did you mean 'mnist_cnn'?", 1),
    ("convert resnet18", "did you mean 'torchvision:resnet18'?", 1),
    ("convert torchvision:resnet81", "torchvision has no model 'resnet81'; did you mean", 1),
    ("convert torchvision:resnet18:DEFALT", "no weights 'DEFALT' for resnet18; did you mean 'DEFAULT'? (there are", 1),
    ("convert torchvision:resnet18:DEFAULT --weights x.pt", "names its weights; omit --weights", 1),
    ("convert torchvison:resnet18", "did you mean 'torchvision'?", 1),
    ("convert net.pt", "Name the model, and --weights net.pt", 1),
    ("convert nowhere.onnx", "there is no ONNX file nowhere.onnx (looked for in ", 1),
    ("convert nowhere.respike", "there is no saved network nowhere.respike (looked for in ", 1),
    ("convert torn.respike", "it is damaged or not a safetensors file", 1),
    ("convert nowhere.module:net", "No module named 'nowhere'", 1),
    ("convert cli_models:tyny", "cli_models has nothing called 'tyny'; did you mean 'tiny'?", 1),
    ("convert cli_models:broken", "RuntimeError: no such luck", 1),
    ("convert builtins:dict", "'builtins:dict' gives a dict, not a torch.nn.Module", 1),
    ("convert mnist_cnn --weights none.pt", "there is no weights file none.pt", 1),
    ("convert mnist_cnn --weights evil.pt", "cannot read weights", 1),
    ("convert mnist_cnn --weights torn.safetensors", "cannot read weights", 1),
    (f"convert {ONNX} --weights x.pt", "contains its own weights", 1),
    ("convert mnist_mlp --verify", "for ONNX files", 1),
    ("convert cli_models:tiny", "is not a reference network: name its data with --calibration train.npz", 1),
    ("evaluate net.nir -T 4", "no model is called 'net.nir': what IF means in a NIR file its reader has to say", 1),
    ("convert mnist_cnn --calibration minst", "no data set is called 'minst'; did you mean 'mnist'?", 1),
    ("convert mnist_cnn --calibration none.npz", "there is no data file none.npz (looked for in ", 1),
    ("convert mnist_cnn --calibration random:3xlarge", "not of the form random:3x64x64", 1),
    ("convert mnist_cnn --calibration folder:nowhere", "is not a folder with one subfolder of images per class", 1),
    ("convert mnist_cnn --calibration imagenet:nowhere", "there is no folder nowhere; imagenet:DIR is the folder", 1),
    ("convert mnist_cnn --calibration imagenet:folder.npz", "there is no folder.npz/ILSVRC2012_devkit_t12.tar.gz", 1),
    ("convert mnist_cnn --calibration imagenet:folder.npz", "folder:folder.npz/train needs no archive", 1),
    ("convert mnist_cnn --calibration webdataset:nowhere.tar", "there is no tar file nowhere.tar (looked for in ", 1),
    ("evaluate mnist_cnn --data webdataset:pipe:ls", "pipe:ls: only local tar files are read", 1),
    (
        "evaluate mnist_mlp --data folder:photos -T 2 --samples 16",
        "cannot read photos/a/x.jpg: it is not an image, or is damaged",
        1,
    ),
    ("evaluate mnist_cnn --workers -1", "-1 is not in the range", 2),
    ("convert mnist_cnn --calibration empty.npz", "must hold x", 1),
    ("convert mnist_cnn --calibration random:3x8x8", "of shape 3x8x8: its layer features.0 (Conv2d(1, 32,", 1),
    ("convert mnist_events --calibration mnist_events:many", "not of the form mnist_events:60", 1),
    ("convert mnist_events --calibration mnist_events:7 --frames", "must divide the 300 ms of a recording", 1),
    ("convert mnist_cnn --calibration mnist:30 --frames", "mnist has no frames", 1),
    ("convert mnist_mlp --calibration random:5x9", "its layer net.1 (Linear(in_features=784,", 1),
    ("convert mnist_mlp --analog net.9", "did you mean net.", 1),
    ("convert mnist_mlp --threshold mxa", "'mxa' is not one of 'mse', 'max', 'percentile'; did you mean 'max'?", 2),
    ("convert mnist_mlp -T fast", "'fast' is neither a whole number nor auto", 2),
    ("convert mnist_mlp -T autp", "did you mean 'auto'?", 2),
    (f"convert {TINY} --seed {10**20}", "seed must be a whole number of 64 bits", 1),
    (f"convert {TINY} --memory-budget 0", "memory_budget must be a number of bytes, 1 or more, or None; got 0", 1),
    ("convert mnist_mlp --population 0", "population must be a whole number from 1 to 64, or None; got 0", 1),
    ("convert mnist_mlp --population many", "'many' is not a valid integer", 2),
    ("convert mnist_mlp --population 4", "--population 4 has no effect: between the layers of this network", 1),
    ("evaluate kept.respike --data square.npz --population 4", "--population cannot be changed: convert", 1),
    ("convert mnist_mlp --levels 3", "--levels has no effect without --neuron multi_threshold", 1),
    ("convert mnist_mlp --within 3", "--within has no effect without --timesteps auto", 1),
    ("convert mnist_mlp -T 0", "timesteps must be a whole number from 1 to 65,536", 1),
    ("convert mnist_mlp -o net.pt", "cannot write net.pt: its ending must be one of respike", 1),
    (f"convert {TINY} --resume nowhere/a", "the folder nowhere does not exist", 1),
    (f"convert {TINY} --resume torn.json", "cannot go on from torn.json: it is damaged", 1),
    (
        f"convert {TINY} --resume a --resum b",
        "No such option '--resum'. (Did you mean one of: '--frames', '--resume', '--workers'?)",
        2,
    ),
    ("convert mnist_mlp --config none.toml", "there is no file none.toml (looked for in ", 2),
    ("evaluate mnist_cnn --data fashion_mnist", "does not ship with respike; pass data_dir (--data-dir)", 1),
    ("evaluate mnist_mlp --data inputs.npz", "inputs.npz contains inputs x but no targets y", 1),
    ("evaluate mnist_mlp --data small.npz -T 2 --samples 16", "small.npz: input 'x' must have shape (N, 1, 28, 28)", 1),
    ("evaluate mnist_mlp --ann mnist_mlp", "mnist_mlp is an ANN itself", 1),
    (
        "evaluate mnist_mlp --early-exit 120 -T 2 --samples 16 --data square.npz",
        "agreement must be a number, above 0 and at most 100 (percent)",
        1,
    ),
    ("evaluate mnist_mlp --cost --energy 45mn", "did you mean '45nm'?", 2),
    ("evaluate mnist_mlp -o accuracy.docx", "its ending must be one of", 1),
    (f"{EVALUATE} --part 3", "'3' is not of the form 2/5, the second of five parts", 2),
    (f"{EVALUATE} --part 3/2", "'3/2' is not of the form 2/5", 2),
    (f"{EVALUATE} --part 1/2 --early-exit 99", "--early-exit looks at all data; omit --part", 1),
    (f"{EVALUATE} --data square.npz --resume nowhere/a", "the folder nowhere does not exist", 1),
    ("merge", "Missing argument 'PART.json ...'", 2),
    ("merge nowhere.json", "there is no result nowhere.json", 1),
    ("merge torn.json", "torn.json is not a JSON file", 1),
    ("merge empty.json", "empty.json is not an evaluation; write one with respike evaluate MODEL --json", 1),
    ("merge odd.json", "odd.json is a damaged evaluation", 1),
    ("merge empty.json -o all.txt", "its ending must be one of json", 1),
    ("diagnose mnist_cn", "did you mean 'mnist_cnn'?", 1),
    ("diagnose mnist_mlp --data small.npz -T 2 --samples 16", "small.npz: input 'x' must have shape (N, 1, 28, 28)", 1),
    ("diagnose kept.respike", "kept.respike does not contain the ANN to compare with: name it", 1),
    ("diagnose mnist_mlp --data minst", "no data set is called 'minst'; did you mean 'mnist'?", 1),
    ("finetune torn.respike", "torn.respike does not contain the ANN to learn from: name it", 1),
    ("finetune mnist_mlp --steps 0", "0 is not in the range x>=1", 2),
    ("finetune mnist_mlp -T 1 --labels 1", "--labels needs labels, and mnist has none without --data-dir", 1),
    ("export mnist_cnn -o net.onnx", "mnist_cnn is not a saved network such as net.respike; convert it first", 1),
    ("export nowhere.respike -o net.onnx", "there is no saved network nowhere.respike", 1),
    ("export kept.respike -o net.pt", "its ending must be one of onnx, nir, py", 1),
    ("export kept.respike -o net.py --form step", "--form has no effect on .py files", 1),
    ("check mnist_cnn", "mnist_cnn is not a saved network such as net.respike; convert it first", 1),
    ("check torn.respike", "it is damaged or not a safetensors file", 1),
    ("check kept.respike --target spek", "target must be one of speck; got 'spek'", 1),
    ("check nowhere.respike", "there is no saved network nowhere.respike", 1),
    ("diagnose mnist_mlp -T 2 --samples 0", "samples must be a whole number, 1 or more", 1),
    ("report", "Missing argument 'MODEL | REPORT.json ...'", 2),
    ("report mnist_cn", "did you mean 'mnist_cnn'?", 1),
    ("report mnist_cnn mnist_mlp", "a report describes one model, got mnist_cnn, mnist_mlp; to compare", 1),
    ("report a.json mnist_mlp", "first write one of mnist_mlp, respike report mnist_mlp -o NAME.json", 1),
    ("report a.json", "there is no report a.json (looked for in ", 1),
    ("report torn.json", "torn.json is not a JSON file", 1),
    ("report empty.json", "empty.json is not a report", 1),
    ("report empty.json -T 4 --threshold max", "is already a report; --timesteps, --threshold cannot be changed", 1),
    ("report mnist_mlp -o report.pdf", "its ending must be one of html, htm, json", 1),
    ("report mnist_mlp --charts nowhere/figures", "the folder nowhere does not exist", 1),
    ("report mnist_mlp --format gif", "'gif' is not one of 'svg', 'png'", 2),
    ("curve -o nowhere/curves.png", "the folder nowhere does not exist", 1),
    ("curve --tau 0", "time constants must be positive", 2),
    ("curve --neuron leaky", "unknown neuron 'leaky'; did you mean Leaky? Known are IAF", 1),
    ("playground -o nowhere/page.html", "the folder nowhere does not exist", 1),
    ("playground -o page.png", "its ending must be one of html", 1),
    ("playground --outptu page.html", "Did you mean '--output'?", 2),
    ("info --jsn", "Did you mean '--json'?", 2),
    ("info --network none.respike", "there is no", 1),
    ("info --network torn.respike", "torn.respike", 1),
    ("info extra", "Got unexpected extra argument (extra)", 2),
    ("info --config torn.toml", "torn.toml is not a TOML file", 2),
    ("completion bsh", "'bsh' is not one of 'bash', 'zsh', 'fish'; did you mean 'bash'?", 2),
    *((f"{command} --batch-size 0", "0 is not in the range 1<=x<=", 2) for command in (EVALUATE, REPORT)),
    *((f"{EVALUATE} --max-spikes {10**20}", "not in the r", 2),),
    *(
        (f"evaluate mnist_mlp -T {10**20}", f"{10**20:,} timesteps need at least ", 1),
        (f"demo -T {10**13}", "are free", 1),
    ),
    *((f"{command} -T {10**13}", "are free: take fewer --timesteps", 1) for command in ("curve", "curve --neuron IAF")),
    *(
        (f"{command} --data {data}.npz", message, 1)
        for command in (EVALUATE, DIAGNOSE, REPORT)
        for data, message in (
            ("unequal", "unequal.npz must hold a target for each input: x has the shape (30, 1, 28, 28) and y (20,)"),
            ("scalar", "x in scalar.npz holds no samples: expected the shape (N, ...), found ()"),
            ("scalar_target", "x has the shape (30, 1, 28, 28) and y ()"),
            ("void", "x in void.npz holds no samples: expected the shape (N, ...), found (0, 1, 28, 28)"),
            ("complex", "x in complex.npz holds complex numbers"),
            ("beyond", "x in beyond.npz holds numbers beyond 3.4e38"),
            ("words", "cannot read words.npz"),
            ("folder", "there is no data file folder.npz"),
            ("locked", "cannot read locked.npz: permission denied"),
        )
    ),
    *(
        (f"convert mnist_mlp --calibration random:{shape}", f"'random:{shape}' is not of the form random:3x64x64", 1)
        for shape in ("-3x4", "0x4", "3x", "x", "1.5", str(10**20), "1000000x1000000x1000000", "٣")
    ),
    *((f"inspect {ONNX} --input {shape}", f"'{shape}' is not of the form", 2) for shape in ("-1x3", "0", str(10**20))),
    *(
        (typed, message, 1)
        for typed, message in (
            ("inspect folder.onnx", "folder.onnx is"),
            ("convert folder.onnx --calibration small.npz", "there is no ONNX file folder.onnx"),
            ("convert folder.respike", "there is no saved network folder.respike"),
            ("convert mnist_mlp --weights folder.pt", "there is no weights file folder.pt"),
            ("report folder.json", "there is no report folder.json"),
            ("convert cli_models:leaves", "SystemExit: 3"),
            ("report nested.json", "nested.json is"),
            ("report odd.json -o page.html", "odd.json: a damaged report (ValueError: Unknown"),
        )
    ),
    *(
        (f"{command} -o folder.{ending}", f"File 'folder.{ending}' is a directory", 2)
        for command, ending in (
            ("demo", "png"),
            ("curve", "png"),
            ("convert mnist_mlp", "respike"),
            ("playground", "html"),
        )
    ),
    *(
        (f"playground -o {name}.html", f"cannot write {name}.html: it is a ", 1)
        for name in ("device", "pipe", "nowhere")
    ),
    *((f"info --config {name}.toml", f"cannot read {name}.toml", 2) for name in ("folder", "latin", "locked")),
    ("info --config strange.toml", "unknown table [evalute]; did you mean 'evaluate'?", 2),
    ("evaluate --config null.toml", "null.toml: [evaluate] model must not contain a null character", 2),
    ("evaluate --config null_weights.toml", "[evaluate] weights must not contain a null character", 2),
    ("convert --config deep.toml", "deep.toml: lists or tables are nested too deeply", 2),
    ("convert mnist_mlp -T 65537", "timesteps must be a whole number from 1 to 65,536, or 'auto'; got 65537", 1),
    ("convert mnist_mlp --schedule pipelined --delay 65537", "delay must be a whole number from 0 to 65,536", 1),
    ("convert mnist_mlp --weights words.pt", "words.pt: it is not a PyTorch or safetensors file", 1),
    ("convert mnist_mlp --weights nothing.pt", "nothing.pt: it is not a PyTorch or safetensors file", 1),
    ("convert mnist_mlp --calibration text.npz", "cannot read text.npz: it is not a NumPy archive", 1),
    ("convert mnist_mlp --calibration array.npz", "cannot read array.npz: it is not a NumPy archive", 1),
    ("convert mnist_mlp --calibration objects.npz", "objects.npz: x holds Python objects; expected numbers", 1),
    ("convert mnist_mlp --calibration float8.safetensors", "x holds float8_e4m3fn; store it as float16 or float32", 1),
    ("curve -o curves.pgf", "its ending must be one of", 1),
    ("completion", "Missing argument", 2),
    ("completion tcsh", "is not one of", 2),
]


class Explode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch exploded",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to trip over."""
    path = tmp_path_factory.mktemp("mistakes")
    torch.save({"weight": Explode()}, path / "evil.pt")
    for name in ("torn.safetensors", "torn.respike", "torn.onnx"):
        (path / name).write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{")
    (path / "torn.json").write_text("{")
    (path / "empty.json").write_text("{}")
    (path / "torn.toml").write_text("[info\n")
    np.savez(path / "empty.npz", images=np.zeros(3))
    write_data(path / "inputs.npz", labels=False)
    write_data(path / "square.npz")
    write_data(path / "small.npz", shape=(1, 9, 9))
    x, y = np.zeros((30, 1, 28, 28), np.float32), np.zeros(30, np.int64)
    for name, arrays in {
        "unequal": (x, y[:20]),
        "scalar": (np.float32(1), y),
        "scalar_target": (x, np.int64(1)),
        "void": (x[:0], y[:0]),
        "complex": (x + 1j, y),
        "beyond": (x.astype(np.float64) + 1e300, y),
        "words": (np.array(["a", "b"]), y[:2]),
        "locked": (x, y),
    }.items():
        np.savez(path / f"{name}.npz", x=arrays[0], y=arrays[1])
    for name in ("npz", "onnx", "respike", "pt", "json", "toml", "png", "html"):
        (path / f"folder.{name}").mkdir()
    (path / "nested.json").write_text("[" * 100_000 + "]" * 100_000)
    odd = {"format": "respike evaluation 1", **{key: {"x": ["y"]} for key in NEEDED["evaluation"]}}
    (path / "odd.json").write_text(json.dumps(odd))
    (path / "latin.toml").write_bytes('[info]\nx = "\xe4"'.encode("latin1"))
    (path / "locked.toml").write_text("[info]\njson = true\n")
    (path / "strange.toml").write_text("[evalute]\n")
    (path / "null.toml").write_text('[evaluate]\nmodel = "a\\u0000b.onnx"\ncalibration = "small.npz"\n')
    (path / "null_weights.toml").write_text('[evaluate]\nmodel = "mnist_mlp"\nweights = "a\\u0000b.pt"\n')
    (path / "deep.toml").write_text(f"[convert]\nsamples = {'[' * 5000}{']' * 5000}\n")
    (path / "words.pt").write_text("hello\n")
    (path / "photos" / "a").mkdir(parents=True)
    (path / "photos" / "a" / "x.jpg").write_text("hello\n")
    (path / "nothing.pt").touch()
    (path / "text.npz").write_text("hello\n")
    with (path / "array.npz").open("wb") as file:
        np.save(file, x)
    np.savez(path / "several.npz", x=x, y=np.ones((30, 10), np.float32))
    np.savez(path / "objects.npz", x=np.array([{}], dtype=object))
    save_file({"x": torch.zeros(4, 1, 28, 28).to(torch.float8_e4m3fn)}, path / "float8.safetensors")
    if os.name == "posix":
        (path / "device.html").symlink_to("/dev/null")
        (path / "nowhere.html").symlink_to("gone")
        os.mkfifo(path / "pipe.html")
    return path


@pytest.fixture(autouse=True)
def _locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called locked cannot be read, not even by the administrator."""
    opened = io.open

    def refused(file: object, *args: object, **kwargs: object) -> object:
        if "locked." in str(file):
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return opened(file, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr("io.open", refused)


@pytest.mark.parametrize(("typed", "message", "code"), MISTAKES, ids=[typed for typed, _, _ in MISTAKES])
def test_a_mistake_is_named(typed: str, message: str, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())
    result = run(*typed.split())
    assert message in " ".join(result.stderr.split())
    assert result.exit_code == code
    assert not result.stdout
    assert "Traceback" not in result.stderr
    assert set(folder.iterdir()) == before  # nothing half-written, nothing in evil.pt was run


def test_every_command_has_three_of_its_mistakes_here() -> None:
    for command in every_command():
        assert sum(typed.split()[0] == command for typed, _, _ in MISTAKES) >= 3, command


def test_no_message_advises_what_only_python_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    result = run("evaluate", "mnist_mlp", "--data", "several.npz", "-T", "2", "--samples", "16")
    assert result.exit_code == 1 and "several classes per sample" in result.stderr and "metric" not in result.stderr


def test_only_x_and_y_are_read_in_any_byte_order(tmp_path: Path) -> None:
    x, y = np.arange(12.0).reshape(3, 4), np.array([2, 0, 1])
    rest = {"names": np.array(["a", "b"]), "more": np.array([{}], dtype=object)}
    np.savez(tmp_path / "data.npz", x=x.astype(">f8"), y=y.astype(">i4"), **rest)
    found = sources.find_test_data(str(tmp_path / "data.npz")).tensors  # type: ignore[attr-defined]
    assert found[0].tolist() == x.tolist() and found[1].tolist() == y.tolist()
