"""An image from a file, as three colours."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..source_names import SourceError
from ..text import shown

if TYPE_CHECKING:
    from PIL.Image import Image


def read_rgb(file: Path | BinaryIO, name: str) -> Image:
    """An image in RGB, from greyscale, palettes, CMYK and transparency too.

    A rotation in its EXIF data is not applied, as torchvision's data sets do not: the accuracies that
    torchvision states were measured so.

    Args:
        file: Where it is.
        name: Of the image, for messages.

    Raises:
        SourceError: it is missing, damaged, no image, or has more pixels than Pillow takes.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, of which real data sets are full
            with Image.open(file) as image:
                return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise SourceError(f"cannot read {shown(name, 400)}: it is not an image, or is damaged") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged image raises most things there are
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise SourceError(f"cannot read the image {shown(name, 400)}: {reason}") from error
