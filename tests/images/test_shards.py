"""Images in tar files: the samples are those of webdataset, and nothing in a file can do more than be an image."""

from __future__ import annotations

import gzip
import os
import pickle
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from image_files import CLASSES, photo, write_photos, write_shards, write_tar
from torch import nn

import respike
from respike import sources
from respike.images import Shards, of_size
from respike.source_names import SourceError
from respike.workers import loader

wds = pytest.importorskip("webdataset")
pytestmark = [  # webdataset leaves it to Python to close files
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning"),
]
SMALL = of_size(16).transform


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("shards")
    return write_shards(root / "tar", write_photos(root / "val"))


@pytest.fixture(scope="module")
def jpeg(shards: str) -> bytes:
    return (Path(shards).parents[1] / "val" / "bee" / "000.jpg").read_bytes()


def pipeline(shards: str) -> Any:
    made = wds.WebDataset(shards, shardshuffle=False).decode("pil")
    return made.to_tuple("jpg", "cls").map_tuple(lambda image: SMALL(image.convert("RGB")))


def test_samples_are_those_of_webdataset(shards: str) -> None:
    ours, theirs = Shards(shards, SMALL), list(pipeline(shards))
    assert len(ours) == len(theirs) == 18
    for index in random.Random(0).sample(range(18), 18):
        assert torch.equal(ours[index][0], theirs[index][0]) and ours[index][1] == theirs[index][1]
    starred = Shards(str(Path(shards).parent / "*.tar"), SMALL)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(starred, theirs, strict=False))


@pytest.mark.parametrize("batched", ["samples", "batched", "WebLoader", "WebLoader of samples"])
def test_pipelines_of_webdataset_are_data(shards: str, batched: str) -> None:
    """Samples or batches, whichever a pipeline gives; equal to the same data in tensors."""

    def made() -> Any:
        data = pipeline(shards)
        if batched == "WebLoader of samples":
            return wds.WebLoader(data, batch_size=4)
        data = data if batched == "samples" else data.batched(5)
        return wds.WebLoader(data, batch_size=None) if batched == "WebLoader" else data

    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 12), nn.ReLU(), nn.Linear(12, 3))
    x, y = torch.stack([x for x, _ in pipeline(shards)]), torch.tensor([y for _, y in pipeline(shards)])
    wanted = respike.evaluate(respike.from_torch(net, [x], 4), (x, y), ann=net)
    found = respike.evaluate(respike.from_torch(net, made(), 4), made(), ann=net)
    assert found.samples == 18
    assert found.spikes.tolist() == wanted.spikes.tolist() and found.accuracy.tolist() == wanted.accuracy.tolist()


def test_calibration_needs_no_labels(tmp_path: Path, jpeg: bytes) -> None:
    write_tar(tmp_path / "a.tar", [("x.jpg", jpeg), ("y.jpg", jpeg)])
    data: Any = sources.find_calibration(f"webdataset:{tmp_path / 'a.tar'}", prepare=of_size(16))
    assert len(data) == 2 and data[0][0].shape == (3, 16, 16) and len(data[0]) == 1
    with pytest.raises(SourceError, match=r"sample x has no label \(.cls\)"):
        sources.find_test_data(f"webdataset:{tmp_path / 'a.tar'}")


class Explode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_executed(tmp_path: Path, jpeg: bytes) -> None:
    """Webdataset's own decoding loads pickles by their endings, and its addresses may be commands."""
    evil = pickle.dumps(Explode(tmp_path / "exploded"))
    endings = ("pyd", "pickle", "pkl", "pth", "npy", "npz", "cls.pyd", "json", "py")
    members = [("a.jpg", jpeg), *((f"a.{ending}", evil) for ending in endings), ("a.cls", b"2")]
    write_tar(tmp_path / "a.tar", members)
    assert [label for _, label in Shards(str(tmp_path / "a.tar"), SMALL)] == [2]
    write_tar(tmp_path / "b.tar", [("a.jpg", evil), ("a.cls", evil)])
    with pytest.raises(SourceError, match="it is not an image"):
        Shards(str(tmp_path / "b.tar"), SMALL)[0]
    write_tar(tmp_path / "c.tar", [("a.jpg", jpeg), ("a.cls", evil)])
    with pytest.raises(SourceError, match=r"c.tar: the label a.cls must be the number of a class"):
        Shards(str(tmp_path / "c.tar"), SMALL)[0]
    for command in (f"pipe:mkdir {tmp_path / 'exploded'}", "https://example.org/{0..9}.tar", "file:///x.tar"):
        with pytest.raises(SourceError, match="only local tar files are read"):
            Shards(command, SMALL)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "there is no image"),
        ([("readme", b"")], "there is no image"),
        ([("a.cls", b"1")], "sample a has no image"),
        ([("a.jpg", b""), ("b.jpg", b""), ("a.cls", b"1")], "must stand side by side"),
        ([("a.jpg", b""), ("a.jpg", b"")], "holds a.jpg twice"),
        ([("a.gif", b""), ("a.cls", b"1")], "sample a has no image"),
    ],
)
def test_a_file_that_holds_other_things_is_named(
    tmp_path: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    write_tar(tmp_path / "a.tar", members)
    with pytest.raises(SourceError) as found:
        Shards(str(tmp_path / "a.tar"), SMALL, labelled=False)
    assert message in str(found.value) and "a.tar" in str(found.value)


def test_a_pattern_that_stands_for_nothing_is_named(tmp_path: Path, shards: str) -> None:
    missing = str(Path(shards).parent / "{000..005}.tar")
    for pattern, message in ((missing, "002.tar"), ("{0..", "is not of the form"), ("*.tar", "there is no tar file")):
        with pytest.raises(SourceError, match=message.replace("*", r"\*")):
            Shards(str(tmp_path / pattern) if pattern == "*.tar" else pattern, SMALL)


def test_a_compressed_file_is_refused(tmp_path: Path, shards: str) -> None:
    (tmp_path / "a.tar").write_bytes(gzip.compress((Path(shards).parent / "000.tar").read_bytes()))
    with pytest.raises(SourceError, match="compressed with gzip; unpack it"):
        Shards(str(tmp_path / "a.tar"), SMALL)


def test_a_broken_file_is_never_read_in_part(tmp_path: Path, shards: str) -> None:
    """Cut anywhere, or with a damaged header: an error. Tarfile itself stops in silence at a header it cannot read."""
    whole = (Path(shards).parent / "000.tar").read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in range(700, end - 600, 997):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        with pytest.raises(SourceError, match=r"a\.tar"):
            Shards(str(tmp_path / "a.tar"), SMALL)
    for place in range(1024, end, 512):
        if whole[place + 257 : place + 262] == b"ustar":
            (tmp_path / "a.tar").write_bytes(whole[: place + 124] + b"\xff" * 12 + whole[place + 136 :])
            with pytest.raises(SourceError, match=r"a\.tar"):
                Shards(str(tmp_path / "a.tar"), SMALL)


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_files_are_read_or_refused(tmp_path: Path, shards: str, count: int) -> None:
    whole, chance = bytearray((Path(shards).parent / "000.tar").read_bytes()), random.Random(0)
    for _ in range(count):
        mutant = whole.copy()
        for _ in range(chance.choice((1, 4, 30))):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        (tmp_path / "a.tar").write_bytes(mutant)
        with suppress(SourceError):
            data = Shards(str(tmp_path / "a.tar"), SMALL)
            for index in range(len(data)):
                with suppress(SourceError):
                    assert data[index][0].shape == (3, 16, 16)


def test_a_broken_image_is_named_by_its_sample(tmp_path: Path, jpeg: bytes) -> None:
    members = [("a/x.jpg", jpeg), ("a/x.cls", b"0"), ("a/y.jpg", jpeg[:300]), ("a/y.cls", b"1")]
    data = sources.find_test_data(
        f"webdataset:{write_tar(tmp_path / 'a.tar', members)}", prepare=of_size(16), workers=1
    )
    with pytest.raises(SourceError, match=r"a\.tar: .*\(sample a/y\)"):
        list(loader(data, batch_size=2))


def test_images_may_be_png_and_labels_of_every_class(tmp_path: Path) -> None:
    import io

    members = []
    for k in range(len(CLASSES)):
        file = io.BytesIO()
        photo(k, (20, 20)).save(file, "PNG")
        members += [(f"{k}.PNG", file.getvalue()), (f"{k}.cls", b" %d\n" % k), (f"{k}.json", b"{}")]
    data = Shards(str(write_tar(tmp_path / "a.tar", members)), SMALL)
    assert [label for _, label in data] == [0, 1, 2]  # type: ignore[attr-defined]
