"""The options of fine-tuning that are numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import respike


@pytest.fixture(scope="module")
def setup() -> tuple[respike.SpikingNetwork, nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4)), torch.randn(200, 8)
    return respike.from_torch(model, x, 2), model, x


def test_numbers_of_numpy_are_taken_and_kept_in_a_file(setup: Any, tmp_path: Path) -> None:
    snn, _, x = setup
    told = {"hidden": np.float32(1), "labels": np.float64(0), "learning_rate": np.float32(1e-3), "steps": np.int64(4)}
    found = respike.finetune(snn, x, **told, resume=tmp_path / "a")
    assert torch.equal(respike.finetune(snn, x, **{**told, "hidden": 1}, resume=tmp_path / "a")(x), found(x))


@pytest.mark.parametrize("name", ["hidden", "labels", "learning_rate"])
@pytest.mark.parametrize("value", [1e39, 10**400, -1, float("nan")])
def test_weights_out_of_bounds_are_refused(setup: Any, name: str, value: float) -> None:
    snn, _, x = setup
    with pytest.raises(respike.ConversionError, match=f"{name} must be a number"):
        respike.finetune(snn, x, steps=1, **{name: value})
