"""A run that is longer than what a network was fitted to is said to be so, once, and where it is true alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import respike
from respike.convert import ConversionWarning


def small(**options: Any) -> tuple[respike.SpikingNetwork, torch.Tensor]:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval(), torch.randn(60, 6)
    return respike.from_torch(model, x, 4, **options), x


def said(snn: respike.SpikingNetwork, x: torch.Tensor, timesteps: int) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        snn.simulate(x, timesteps=timesteps)
    return [str(w.message) for w in found if w.category is ConversionWarning]


@pytest.mark.parametrize("schedule", ["synchronous", "layerwise", "pipelined"])
def test_it_is_said_once_and_only_of_longer_runs(schedule: Any) -> None:
    snn, x = small(schedule=schedule)
    assert said(snn, x, 4) == said(snn, x, 2) == []
    (text,) = said(snn, x, 9)
    assert "runs 9 timesteps" in text and "chosen for 4" in text
    assert "timesteps=9" in text and "threshold='max'" in text
    assert said(snn, x, 9) == []


@pytest.mark.parametrize("options", [{"threshold": "max"}, {"threshold": "percentile"}, {"correction": "none"}])
def test_it_is_not_said_where_longer_runs_are_better(options: dict[str, Any]) -> None:
    snn, x = small(**options)
    assert said(snn, x, 64) == []


def test_what_it_says_is_so() -> None:
    """The MLP at 32 times the T that it was made for: its error has risen again, and that of "max" has not."""
    model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()
    images = respike.models.datasets.load("mnist").tensors[0][:200]
    with torch.no_grad():
        wanted = model(images)
    errors = {}
    for threshold in ("mse", "max"):
        snn = respike.from_torch(model, calibration, 4, threshold=threshold)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConversionWarning)
            steps = snn.simulate(images, timesteps=128)
        errors[threshold] = (steps - wanted[:, None]).square().mean((0, 2)).sqrt()
    assert errors["mse"][127] > 1.1 * errors["mse"].min()
    assert errors["max"][127] < 1.1 * errors["max"].min()
    assert errors["max"][127] < errors["mse"][127]


def test_evaluation_calls_streams_and_files_say_it_too(tmp_path: Path) -> None:
    snn, x = small()
    snn.save(tmp_path / "net.respike")
    with pytest.warns(ConversionWarning, match="runs 6 timesteps"):
        respike.evaluate(respike.load(tmp_path / "net.respike"), (x, torch.zeros(60)), timesteps=6)
    longer = respike.load(tmp_path / "net.respike").normalised()
    longer.timesteps = 5
    with pytest.warns(ConversionWarning, match="runs 5 timesteps"):
        longer(x)
    run, short = snn.stream(len(x)), snn.stream(len(x), window=2)
    for _ in range(4):
        run(x), short(x)
    short(x)
    with pytest.warns(ConversionWarning, match="runs 5 timesteps"):
        run(x)
