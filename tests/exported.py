"""Networks that leave respike in one form or another: their codes, and a conversion that is quick."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning, SpikingNetwork

CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "bursts": {"max_spikes": 3},
    "signed": {"neuron": "signed"},
    "multi-threshold": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
}


def converted(model: nn.Module, *x: Tensor, steps: int = 4, **options: Any) -> SpikingNetwork:
    """A network whose distance from the ANN is nobody's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        settings = {"correction": "bias", "threshold": "max", **options}
        return respike.from_torch(model, [x], steps, **settings)
