"""Images in tar files as WebDataset lays them out: ``cat.jpg`` and ``cat.cls`` are one sample."""

from __future__ import annotations

import glob
import io
import re
import tarfile
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from torch import Tensor
from torch.utils.data import Dataset

from ..source_names import SourceError, require
from ..text import shown
from .decoding import read_rgb

IMAGES: Final = ("jpg", "jpeg", "png")
LABEL: Final = "cls"
LONGEST: Final = 32
"""Bytes of a label at most: a number, with white space around it."""


class Shards(Dataset[Any]):
    """The images of tar files, by number, so that they can be read in any order and by any number of processes.

    At first only the headers are read. Nothing is unpacked to disk or executed; members that are no images or labels
    are passed over.

    Args:
        pattern: A local file, ``shards/{000000..000009}.tar`` or ``shards/*.tar``.
        transform: From an RGB image to a tensor.
        labelled: Samples are an image and a label, the number of a class; otherwise the image alone.

    Raises:
        SourceError: no such files, a damaged or compressed one, or a sample without image or label.
        ModuleNotFoundError: without ``webdataset``, whose rules say which members are one sample.
    """

    def __init__(self, pattern: str, transform: Callable[[Any], Tensor], labelled: bool = True) -> None:
        self.transform, self.labelled = transform, labelled
        self.paths = _expanded(pattern)
        self.places, self.ends = array("q"), [0]  # four numbers a sample: each process has a copy of them
        for path in self.paths:
            for _, members in _samples(path, labelled):
                self.places.extend(members)
            self.ends.append(len(self.places) // 4)

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Any:
        shard = bisect_right(self.ends, index) - 1
        path = self.paths[shard]
        place, size, label_place, label_size = self.places[4 * index : 4 * index + 4]
        try:
            with path.open("rb") as file:
                image = _bytes(file, place, size)
                label = _bytes(file, label_place, min(label_size, LONGEST)) if self.labelled else b""
        except OSError as error:
            raise SourceError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
        try:
            made = self.transform(read_rgb(io.BytesIO(image), f"{path}"))
        except SourceError as error:
            raise SourceError(f"{error} (sample {self._key(shard, index)})") from error
        if not self.labelled:
            return (made,)
        if label_size > LONGEST or not re.fullmatch(rb"\s*\d{1,9}\s*", label):
            held = shown(label.decode("utf-8", "replace"), 20)
            raise SourceError(
                f"{path}: the label {self._key(shard, index)}.{LABEL} must be the number of a class, got {held!r}"
            )
        return made, int(label)

    def _key(self, shard: int, index: int) -> str:
        """The name of a sample in its file, for messages; names are not kept in memory."""
        found = _samples(self.paths[shard], self.labelled)
        return shown(next(islice(found, index - self.ends[shard], None))[0], 400)


def _bytes(file: io.BufferedReader, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _expanded(pattern: str) -> list[Path]:
    """The files that a pattern stands for."""
    if "://" in pattern or pattern.startswith("pipe:"):
        raise SourceError(f"{shown(pattern, 400)}: only local tar files are read; download them first")
    found: list[Path] = []
    try:
        for name in _alternatives(pattern):
            several = [] if Path(name).is_file() else sorted(glob.glob(name))
            for path in map(Path, several or [name]):
                require(path, "tar file")
                found.append(path)
    except SourceError:
        raise
    except ValueError as error:
        raise SourceError(f"{shown(pattern, 400)} is not of the form shards/{{000000..000009}}.tar: {error}") from error
    return found


def _alternatives(pattern: str) -> Iterable[str]:
    """The names that a pattern with braces stands for, in its order."""
    if "{" not in pattern:
        return [pattern]
    from braceexpand import braceexpand

    found: Iterator[str] = braceexpand(pattern, escape=False)
    return found


def _samples(path: Path, labelled: bool) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Each sample's key, and where its image and its label begin, each with its length.

    Raises:
        SourceError: as ``Shards``.
    """
    key, found = None, dict[str, tuple[int, int]]()
    for name, kind, place in _members(path):
        if name != key:
            if key is not None:
                yield key, _places(path, key, found, labelled)
            key, found = name, {}
        if kind in found:
            raise SourceError(f"{path} holds {shown(name, 400)}.{kind} twice in one sample")
        found[kind] = place
    if key is None:
        raise SourceError(f"there is no image (.{', .'.join(IMAGES)}) in {path}")
    yield key, _places(path, key, found, labelled)


def _places(path: Path, key: str, found: dict[str, tuple[int, int]], labelled: bool) -> tuple[int, int, int, int]:
    image = next((found[kind] for kind in IMAGES if kind in found), None)
    if image is None:
        raise SourceError(
            f"{path}: sample {shown(key, 400)} has no image (.{', .'.join(IMAGES)}); a sample's files must stand side "
            "by side, with the same name up to the first dot"
        )
    if labelled and LABEL not in found:
        raise SourceError(f"{path}: sample {shown(key, 400)} has no label (.{LABEL})")
    return *image, *found.get(LABEL, (0, 0))


def _members(path: Path) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Names, endings and places of all members of samples, with webdataset's rules."""
    from webdataset.tariterators import base_plus_ext

    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            last = -1
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # which would all be kept
                if member.offset_data <= last or member.size < 0:
                    raise tarfile.ReadError("a header states a length below 0")
                last = member.offset_data
                base, ending = base_plus_ext(member.name)
                if member.isreg() and base is not None and not re.match(r"__[^/]*__($|/)", member.name):
                    yield base, ending.lower(), (member.offset_data, member.size)
            file.seek(tar.offset)  # tarfile stops at the first header that it cannot read
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError("a header is damaged")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        packed = _compression(path)
        why = f"it is compressed with {packed}; unpack it to a plain .tar" if packed else f"{error}"
        raise SourceError(f"cannot read {path} as a tar file: {why}") from error


def _compression(path: Path) -> str | None:
    """What a file is compressed with, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(6)
    marks = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    return next((name for mark, name in marks.items() if head.startswith(mark)), None)
