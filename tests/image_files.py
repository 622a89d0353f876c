"""Small photos as people have them: JPEG files of odd sizes, in folders and in tar files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")
MODES = ("RGB", "L", "CMYK")


def photo(seed: int, size: tuple[int, int]) -> Image.Image:
    """Something with edges that survives JPEG, of so many columns and rows."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write_photos(root: Path, count: int = 6, seed: int = 0) -> Path:
    """A folder of JPEGs for each class, of odd sizes; in the first, one in grey, one in CMYK, one rotated by EXIF."""
    for k, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for n in range(count):
            image = photo(seed + 100 * k + n, (41 + 7 * n, 67 - 5 * n))
            exif = Image.Exif()
            if k == 0 and n == 3:
                exif[0x0112] = 6  # turn by 90 degrees
            mode = MODES[n] if k == 0 and n < 3 else "RGB"
            image.convert(mode).save(root / name / f"{n:03d}.jpg", exif=exif)
    return root


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """A tar file with these members."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_shards(root: Path, photos: Path, count: int = 2) -> str:
    """The photos of a folder, dealt out to tar files; the pattern that stands for these."""
    root.mkdir()
    files = sorted(photos.rglob("*.jpg"))
    for k in range(count):
        members = []
        for file in files[k::count]:
            key = f"{file.parent.name}/{file.stem}"
            members += [(f"{key}.jpg", file.read_bytes()), (f"{key}.cls", b"%d" % CLASSES.index(file.parent.name))]
        write_tar(root / f"{k:03d}.tar", [("__info__", b"{}"), *members])
    return str(root / f"{{000..{count - 1:03d}}}.tar")
