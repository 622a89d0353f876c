"""Networks that leave respike in one form or another: their codes, and a conversion that is quick."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning, SpikingNetwork
from respike.models import EventCamera, datasets

CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "bursts": {"max_spikes": 3},
    "signed": {"neuron": "signed"},
    "multi-threshold": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
}

RELU = [name for name, reference in respike.models.REGISTRY.items() if not reference.smooth]
"""The reference networks that convert to any code."""

CODED = [
    (name, code) for name in respike.models.REGISTRY for code in CODES if name in RELU or code not in ("bursts", "lif")
]
"""Reference networks with codes that they convert to: the others need spikes of both signs."""


def digits(name: str, count: int) -> Tensor:
    """Training digits as a reference network takes them, images or events for each 10 ms, in whole numbers of 1/256."""
    images = datasets.calibration()[:count]
    x = EventCamera().frames(images, 1)[:, 0] / 30 if name == "mnist_events" else images
    return (x * 256).round() / 256


def converted(model: nn.Module, *x: Tensor, steps: int = 4, **options: Any) -> SpikingNetwork:
    """A network whose distance from the ANN is nobody's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        settings = {"correction": "bias", "threshold": "max", **options}
        return respike.from_torch(model, [x], steps, **settings)
