"""Images in folders, as networks get them: torchvision's own transforms and data sets are the oracle."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from image_files import CLASSES, photo, write_photos
from PIL import Image
from torchvision import models
from torchvision.datasets import ImageFolder

from respike import sources
from respike.images import of_size, of_weights
from respike.source_names import SourceError
from respike.workers import loader


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos") / "val")


@pytest.mark.parametrize("weights", ["ResNet18_Weights.DEFAULT", "ResNet50_Weights.IMAGENET1K_V2"])
def test_images_are_prepared_as_the_weights_say(photos: Path, weights: str) -> None:
    """In RGB whatever they are in, and as they lie: torchvision does not turn them by their EXIF data."""
    member = models.get_weight(weights)
    found = sources.find_test_data(f"folder:{photos}", prepare=of_weights(member))
    wanted = ImageFolder(str(photos), member.transforms())
    assert len(found) == len(wanted) == 18
    for (image, label), (expected, number) in zip(found, wanted, strict=True):
        assert torch.equal(image, expected) and label == number


@pytest.mark.parametrize("weights", [w for m in ("resnet18", "mobilenet_v2") for w in models.get_model_weights(m)])
def test_what_is_done_is_said(weights: Any) -> None:
    made, said = weights.transforms(), of_weights(weights).words
    wanted = f"resized to {made.resize_size[0]} (bilinear), cut to {made.crop_size[0]}x{made.crop_size[0]}, mean 0.485"
    assert said.startswith(wanted) and said.endswith(f"as {weights!r} says")


def test_the_common_way_is_that_of_the_first_weights(photos: Path) -> None:
    """At 224 pixels, up to the rounding of a pixel: one resizes images of Pillow, the other could tensors."""
    weights = models.ResNet18_Weights.IMAGENET1K_V1
    ours, theirs = of_size(224), of_weights(weights)
    image = photo(0, (300, 260))
    assert torch.allclose(ours.transform(image), theirs.transform(image), atol=1e-6)
    assert f"{ours.words}, as {weights!r} says" == theirs.words


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_any_mode_becomes_three_colours(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a").mkdir()
    grey = photo(0, (40, 40)).convert("L")
    deep = Image.fromarray(torch.arange(1600).view(40, 40).to(torch.uint16).numpy())
    image = deep if mode == "I;16" else grey.convert(mode)
    image.save(tmp_path / "a" / "x.png")
    data = sources.find_test_data(f"folder:{tmp_path}", prepare=of_size(16))
    assert data[0][0].shape == (3, 16, 16)


def test_odd_metadata_is_no_warning(tmp_path: Path) -> None:
    """Of a palette with transparency Pillow warns; real data sets are full of such files."""
    (tmp_path / "a").mkdir()
    palette = photo(0, (40, 40)).quantize(8)
    palette.save(tmp_path / "a" / "x.png", transparency=bytes(range(8)))
    data = sources.find_test_data(f"folder:{tmp_path}", prepare=of_size(16))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        data[0]
    assert not told


def damage(kind: str, file: Path) -> None:
    whole = file.read_bytes()
    if kind == "gone":
        file.unlink()
    elif kind == "huge":
        Image.new("1", (20_000, 10_000)).save(file, "PNG")
    else:
        file.write_bytes({"words": b"not an image", "empty": b"", "short": whole[: len(whole) // 2]}[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("words", "it is not an image, or is damaged"),
        ("empty", "it is not an image, or is damaged"),
        ("short", "truncated"),
        ("gone", "no such file or directory"),
        ("huge", "exceeds limit of"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named(tmp_path: Path, kind: str, message: str, workers: int) -> None:
    write_photos(tmp_path / "val", 2)
    data = sources.find_test_data(f"folder:{tmp_path / 'val'}", prepare=of_size(16), workers=workers)
    file = tmp_path / "val" / "bee" / "001.jpg"
    damage(kind, file)
    with pytest.raises(SourceError) as found:
        list(loader(data, batch_size=2))
    assert str(file) in str(found.value) and message in str(found.value) and "\n" not in str(found.value)


def test_a_subfolder_without_images_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "val", 1)
    (tmp_path / "val" / "dog").mkdir()
    (tmp_path / "val" / "dog" / "notes.txt").write_text("no image")
    with pytest.raises(SourceError, match="dog"):
        sources.find_test_data(f"folder:{tmp_path / 'val'}")
    with pytest.raises(SourceError, match="one subfolder of images per class"):
        sources.find_test_data(f"folder:{tmp_path / 'val' / 'ant'}")
    with pytest.raises(SourceError, match="one subfolder of images per class"):
        sources.find_test_data(f"folder:{tmp_path / 'val' / 'ant' / '000.jpg'}")


def imagenet(root: Path) -> Path:
    """The folders and the file with names that torchvision makes of ImageNet's archives."""
    write_photos(root / "val", 2)
    write_photos(root / "train", 3)
    torch.save(({name: (name, name.upper()) for name in CLASSES}, list(CLASSES)), root / "meta.bin")
    return root


def test_imagenet_is_what_torchvision_keeps(tmp_path: Path) -> None:
    imagenet(tmp_path)
    test = sources.find_test_data(f"imagenet:{tmp_path}", prepare=of_size(16))
    train: Any = sources.find_calibration(f"imagenet:{tmp_path}", prepare=of_size(16))
    assert [len(test), len(train)] == [6, 9] and len(train.classes) == 3
    same = sources.find_test_data(f"folder:{tmp_path / 'val'}", prepare=of_size(16))
    assert all(torch.equal(a, b) and i == k for (a, i), (b, k) in zip(test, same, strict=True))


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ([], "there is no folder"),
        (["val"], "there is no {0}/ILSVRC2012_devkit_t12.tar.gz, the archive with the names of the classes"),
        (["val", "devkit"], "or is corrupted"),
        (["val", "torn"], "does not hold ImageNet's val images"),
        (["meta.bin"], "there is neither a folder {0}/val nor {0}/ILSVRC2012_img_val.tar"),
        (["meta.bin", "archive"], "or is corrupted"),
    ],
)
def test_what_of_imagenet_is_missing_is_said(tmp_path: Path, there: list[str], message: str) -> None:
    root = tmp_path / "imagenet"
    if there:
        root.mkdir()
    if "val" in there:
        write_photos(root / "val", 1)
    if "meta.bin" in there:
        torch.save(({}, []), root / "meta.bin")
    for name, file in (
        ("devkit", "ILSVRC2012_devkit_t12.tar.gz"),
        ("archive", "ILSVRC2012_img_val.tar"),
        ("torn", "meta.bin"),
    ):
        if name in there:
            (root / file).write_bytes(b"torn")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(SourceError) as found:
        sources.find_test_data(f"imagenet:{root}")
    assert message.format(root) in str(found.value)
    assert not there or f"folder:{root / 'val'} needs no archive" in str(found.value)
    assert set(tmp_path.rglob("*")) == before


def test_the_library_that_reads_the_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(SourceError, match="pip install scipy"):
        sources.find_test_data(f"imagenet:{tmp_path}")
