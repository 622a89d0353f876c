"""Images in files on the command line, from calibration to report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from cli_models import run
from image_files import write_photos, write_shards
from torchvision import models

from respike.cli import images

SMALL = ["-T", "4", "--samples", "16", "--image-size", "16"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    write_photos(root / "train", seed=1000)
    write_photos(root / "val")
    torch.save(({name: (name,) for name in ("ant", "bee", "cat")}, []), root / "meta.bin")
    return root


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def evaluated(*args: str) -> dict[str, object]:
    result = run("evaluate", "cli_models:photos", *args, *SMALL, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_the_result_does_not_depend_on_workers_nor_on_how_images_are_named() -> None:
    folders = ["--calibration", "folder:train", "--data", "folder:val"]
    wanted = evaluated(*folders, "--workers", "0")
    assert wanted["samples"] == 18
    assert evaluated(*folders, "--workers", "2", "--batch-size", "5") == evaluated(*folders, "--batch-size", "5")
    assert evaluated("--calibration", "imagenet:.", "--data", "imagenet:.") == wanted


def test_tar_files_are_data(place: Path) -> None:
    pytest.importorskip("webdataset")
    test = write_shards(place / "val-tar", place / "val", 1)
    train = write_shards(place / "train-tar", place / "train", 1)
    tars = ["--calibration", f"webdataset:{train}", "--data", f"webdataset:{test}"]
    assert evaluated(*tars) == evaluated("--calibration", "folder:train", "--data", "folder:val")


def test_a_network_from_convert_to_report(place: Path) -> None:
    train, test = ["--calibration", "folder:train"], ["--data", "folder:val", "--image-size", "16", "--workers", "1"]
    made = run("convert", "cli_models:photos", *train, *SMALL, "--workers", "1", "-o", "photos.respike")
    assert made.exit_code == 0, made.stderr
    assert made.stderr.count("images: resized to 18 (bilinear), cut to 16x16, mean 0.485, 0.456, 0.406") == 1
    for command in (
        ["evaluate", "photos.respike", *test],
        ["diagnose", "photos.respike", "--ann", "cli_models:photos", *test],
        ["finetune", "photos.respike", "--ann", "cli_models:photos", *test, "--steps", "2", "--labels", "0.1"],
        ["report", "photos.respike", "--ann", "cli_models:photos", *test, "-o", "photos.json"],
    ):
        result = run(*command)
        assert result.exit_code == 0, result.stderr
        assert "warning" not in result.stderr


def test_folders_that_are_not_the_networks_classes_are_told(place: Path) -> None:
    (place / "two" / "a").mkdir(parents=True)
    (place / "two" / "b").symlink_to(place / "val" / "bee")
    (place / "two" / "a" / "x.jpg").symlink_to(place / "val" / "ant" / "000.jpg")
    result = run("evaluate", "cli_models:photos", "--calibration", "folder:train", "--data", "folder:two", *SMALL)
    assert result.exit_code == 0
    assert "warning: folder:two has 2 folders" in result.stderr and "the network has 3 outputs" in result.stderr


def test_no_workers_start_where_shared_memory_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB are what a container has: less than two workers need for batches of 224 pixels."""
    free = SimpleNamespace(free=64 * 2**20)
    monkeypatch.setattr(images, "SHARED", Path.cwd())
    monkeypatch.setattr(images.psutil, "disk_usage", lambda path: free)
    monkeypatch.setattr(images.os, "sched_getaffinity", lambda process: range(16), raising=False)
    assert images._usual_workers(12 * 224**2 * 100) == 0
    assert images._usual_workers(12 * 16**2 * 100) == images.MOST_WORKERS


def test_a_broken_image_is_named_whoever_reads_it(place: Path) -> None:
    photos = write_photos(place / "broken", 4)
    (photos / "cat" / "003.jpg").write_bytes(b"no image")
    for workers in ("0", "2"):
        result = run(
            "evaluate", "cli_models:photos", "--calibration", "folder:train", "--data", "folder:broken", *SMALL,
            "--workers", workers,
        )  # fmt: skip
        assert result.exit_code == 1 and not result.stdout
        assert "Error: cannot read broken/cat/003.jpg: it is not an image, or is damaged\n" in result.stderr


@pytest.mark.slow
def test_torchvisions_weights_from_convert_to_report(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With made-up weights, as these tests have no network: images are prepared, and classes named, as they say."""
    name, weights = "shufflenet_v2_x0_5", models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(models.get_model(name).state_dict(), tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2])
    model, few = f"torchvision:{name}:DEFAULT", ["-T", "2", "--samples", "8", "--correction", "bias"]
    made = run("convert", model, "--calibration", "imagenet:.", *few, "-o", f"{name}.respike")
    assert made.exit_code == 0, made.stderr
    said = f"std 0.229, 0.224, 0.225, as {weights!r} says\n"
    assert made.stderr.count(said) == 1
    page = ["--ann", model, "--data", "folder:val", "-o", f"{name}.json"]
    result = run("report", f"{name}.respike", *page)
    assert result.exit_code == 0, result.stderr
    assert said in result.stderr and "warning: folder:val has 3 folders" in result.stderr
    report = json.loads((place / f"{name}.json").read_text())
    assert report["decisions"]["classes"][:2] == ["tench", "goldfish"]
