"""How images are prepared: resized, cut, normalised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in ImageNet's training images, as torchvision states them."""


@dataclass(frozen=True)
class Preparation:
    """What is done to each image.

    Attributes:
        transform: From an RGB image of Pillow to a tensor ``(3, H, W)``, float32, normalised.
        words: The same in words.
        size: Height and width of the result, in pixels.
    """

    transform: Callable[[Any], Tensor]
    words: str
    size: int


def of_size(size: int) -> Preparation:
    """The common way: 256/224 of a side, of which the centre is cut out, normalised as for ImageNet.

    Args:
        size: Side length, in pixels.
    """
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

    resized = size * 256 // 224
    steps = Compose([Resize(resized), CenterCrop(size), ToTensor(), Normalize(MEAN, STD)])
    return Preparation(steps, _words([resized], [size], "bilinear", MEAN, STD), size)


def of_weights(weights: Any) -> Preparation:
    """What torchvision's weights were trained with: their own transform.

    Args:
        weights: A member of one of torchvision's enums, say ``ResNet18_Weights.DEFAULT``.
    """
    made = weights.transforms()
    words = _words(made.resize_size, made.crop_size, made.interpolation.value, made.mean, made.std)
    return Preparation(made, f"{words}, as {weights!r} says", made.crop_size[0])


def _words(resized: Sequence[int], cut: Sequence[int], how: str, mean: Sequence[float], std: Sequence[float]) -> str:
    centre, levels, spread = cut[0], ", ".join(map(str, mean)), ", ".join(map(str, std))
    return f"resized to {resized[0]} ({how}), cut to {centre}x{centre}, mean {levels}, std {spread}"
