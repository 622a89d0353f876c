"""Pictures for the networks of ``networks.py``: crops of photographs, drawn digits and drawn chess pieces.

All are tensors ``(N, 3, H, W)`` of values in [0, 1]. The photographs are those that scikit-image and scikit-learn ship.
Calibration and judging never share one; digits and pieces come from different seeds.
"""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor

from .packages import folder_of, need

PHOTOGRAPHS = {
    "calibration": (
        "skimage/astronaut.png",
        "skimage/coffee.png",
        "skimage/rocket.jpg",
        "skimage/hubble_deep_field.jpg",
        "skimage/ihc.png",
        "skimage/brick.png",
        "skimage/coins.png",
        "sklearn/flower.jpg",
    ),
    "judging": (
        "skimage/chelsea.png",
        "skimage/motorcycle_left.png",
        "skimage/camera.png",
        "skimage/retina.jpg",
        "skimage/grass.png",
        "sklearn/china.jpg",
    ),
}
"""Those that judge are the ones on which an ImageNet network is surest: where it hardly prefers a class to the next,
agreement with it says little.
"""
RIGHT_HALVES = (
    "skimage/coffee.png",
    "skimage/rocket.jpg",
    "skimage/brick.png",
    "skimage/chelsea.png",
    "skimage/camera.png",
    "sklearn/china.jpg",
)
"""Photographs in whose right half such a network is sure as well."""
PIECES = "bB bK bN bP bQ bR wB wK wN wP wQ wR xx".split()
"""Classes of the chess network, in its order; the last is the empty square."""
SQUARES = ("#f0d9b5", "#b58863", "#eeeed2", "#769656", "#dee3e6", "#8ca2ad", "#e8ebef", "#7d8796")
"""Colours of light and dark squares that chess sites use."""


def crops(which: Literal["calibration", "judging"], n: int, size: int, halves: bool = False) -> Tensor:
    """Square crops, of half (of halves: 0.7) to all of the shorter side, resized; as many of each photograph, in turns.

    Args:
        which: What they are for.
        n: How many.
        size: Their width and height.
        halves: Instead of some photographs for calibration and others for judging, the left halves of all for
            calibration and right halves for judging, so that calibration sees what is alike, and none of the same.
    """
    folders = {"skimage": folder_of("scikit-image") / "data", "sklearn": folder_of("scikit-learn") / "datasets/images"}
    drawn = np.random.default_rng([n, size, which == "judging"])
    names = PHOTOGRAPHS[which]
    if halves:
        names = RIGHT_HALVES if which == "judging" else PHOTOGRAPHS["calibration"] + PHOTOGRAPHS["judging"]
    photographs = []
    for name in names:
        package, _, file = name.partition("/")
        photograph = Image.open(folders[package] / file).convert("RGB")
        width, height = photograph.size
        if halves:
            left, right = (0, width // 2) if which == "calibration" else (width // 2, width)
            photograph = photograph.crop((left, 0, right, height))
        photographs.append(photograph)
    found = []
    for i in range(n):
        photograph = photographs[i % len(photographs)]
        side = int(min(photograph.size) * drawn.uniform(0.7 if halves else 0.5, 1))
        left, top = (int(drawn.integers(0, length - side + 1)) for length in photograph.size)
        square = photograph.crop((left, top, left + side, top + side))
        found.append(square.resize((size, size), Image.Resampling.BICUBIC))
    return stacked(found)


def digits(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """House numbers as SVHN shows them, 32x32, and the digit in the middle of each.

    Drawn with the fonts that matplotlib ships: two plain colours, neighbours to both sides, blur, noise, uneven light.
    """
    fonts = sorted((Path(import_module("matplotlib").get_data_path()) / "fonts/ttf").glob("DejaVuS*.ttf"))
    fonts = [font for font in fonts if "Display" not in font.name]
    drawn = np.random.default_rng([n, seed])
    labels = drawn.integers(0, 10, n)
    return stacked([_digit(int(label), fonts, drawn) for label in labels]), torch.from_numpy(labels)


def _digit(label: int, fonts: list[Path], drawn: Generator) -> Image.Image:
    ground, ink = drawn.integers(20, 236, 3), drawn.integers(0, 256, 3)
    while abs(int(ground.sum()) - int(ink.sum())) < 200:
        ink = drawn.integers(0, 256, 3)
    picture = Image.new("RGB", (128, 128), tuple(ground.tolist()))
    font = ImageFont.truetype(fonts[drawn.integers(len(fonts))], int(drawn.integers(100, 131)))
    draw, middle = ImageDraw.Draw(picture), 64 + drawn.uniform(-6, 6, 2)
    width = draw.textlength("0", font) + drawn.uniform(0, 12)
    for place, text in ((-1, str(drawn.integers(10))), (0, str(label)), (1, str(drawn.integers(10)))):
        if place == 0 or drawn.random() < 0.5:
            draw.text((middle[0] + place * width, middle[1]), text, tuple(ink.tolist()), font, anchor="mm")
    picture = picture.rotate(float(drawn.uniform(-8, 8)), Image.Resampling.BICUBIC, fillcolor=tuple(ground.tolist()))
    picture = picture.filter(ImageFilter.GaussianBlur(float(drawn.uniform(1, 6))))
    return _lit(picture.resize((32, 32), Image.Resampling.BOX), drawn)


def pieces(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Squares of a chess board, 32x32, and the class of each: pieces that the package chess draws, moved and scaled.

    Raises:
        MissingError: chess or vl-convert-python, which makes pixels of its drawings, is not installed.
    """
    need("chess", "vl-convert-python")
    svg, convert = import_module("chess.svg"), import_module("vl_convert")
    piece_of = import_module("chess").Piece.from_symbol
    drawings = {}
    for name in PIECES[:-1]:
        symbol = name[1] if name[0] == "w" else name[1].lower()
        png = convert.svg_to_png(svg.piece(piece_of(symbol), size=128))
        drawings[name] = Image.open(io.BytesIO(png)).convert("RGBA")
    drawn = np.random.default_rng([n, seed])
    labels = drawn.integers(0, len(PIECES), n)
    found = []
    for label in labels:
        square = Image.new("RGBA", (128, 128), SQUARES[drawn.integers(len(SQUARES))])
        if drawn.random() < 0.2:  # a square that a site marks, as it does for the last move
            square = Image.blend(square, Image.new("RGBA", square.size, "#f6f669"), 0.5)
        drawing = drawings.get(PIECES[label])
        if drawing:
            side = int(drawn.integers(104, 129))
            corner = tuple(int((128 - side) / 2 + move) for move in drawn.integers(-6, 7, 2))
            square.alpha_composite(drawing.resize((side, side)), (max(0, corner[0]), max(0, corner[1])))
        found.append(_lit(square.convert("RGB").resize((32, 32), Image.Resampling.BOX), drawn))
    return stacked(found), torch.from_numpy(labels)


def _lit(picture: Image.Image, drawn: Generator) -> Image.Image:
    """The same with uneven light and noise."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side) for side in picture.size])
    light = drawn.uniform(0.8, 1.1) + drawn.uniform(-0.1, 0.1) * x + drawn.uniform(-0.1, 0.1) * y
    values = np.asarray(picture) * light[..., None] + drawn.normal(0, drawn.uniform(0, 8), (*picture.size[::-1], 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def stacked(found: list[Image.Image]) -> Tensor:
    """Pictures as one tensor."""
    arrays = np.stack([np.asarray(picture) for picture in found])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float().div(255).contiguous()
