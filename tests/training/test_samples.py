"""How many samples there are to learn from, and what follows for the learning rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import respike
from respike.training import TrainingOptions
from respike.training.samples import Samples

X = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("given", "count", "wanted"), [(None, 4095, 3e-4), (None, 4096, 1e-3), (2e-3, 10, 2e-3)])
def test_few_samples_are_learned_from_in_smaller_steps(given: float | None, count: int, wanted: float) -> None:
    assert TrainingOptions(1, given, 1, 0.0, 2, 0).rate(count) == wanted


FORMS: dict[str, Any] = {"tensor": X, "list": list(X.split(10)), "loader": DataLoader(TensorDataset(X), 7)}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_samples_are_counted_in_any_form(data: Any) -> None:
    snn = respike.from_torch(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), X, 2)
    samples = Samples(data, snn.graph, 4, torch.device("cpu"), 16, 5, False, 0)
    assert sum(len(inputs[0]) for inputs, _ in samples.held) == 5
    assert samples.count == 95
    assert sum(len(inputs[0]) for inputs, _ in samples.epoch(1)) == 95
