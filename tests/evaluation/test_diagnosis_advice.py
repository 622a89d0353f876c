"""What a diagnosis recommends, by what the network has already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diagnosed import convert
from torch import nn

import respike
from respike.evaluation.diagnosis.findings import findings
from respike.evaluation.diagnosis.remedies import Remedies
from respike.evaluation.diagnosis.result import Finding, Part


def uneven(monkeypatch: pytest.MonkeyPatch, activation: nn.Module, **options: Any) -> Finding:
    """What is said of a network whose error is all unevenness, if everything that is tried helps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), activation, nn.Linear(16, 16), activation, nn.Linear(16, 3))
    x = torch.randn(48, 8)
    snn = convert(model, x, 4, **options)
    parts = {name: Part(0.0, 0.0) for name in ("propagated", "correction", "clipping", "quantisation")}
    sound = [
        replace(layer, parts={**parts, "unevenness": Part(1.0, 1.0)}, trial=replace(layer.trial, now=0.1, best=0.1))
        for layer in respike.diagnose(snn, x, progress=False).layers
        if layer.trial is not None
    ]
    monkeypatch.setattr(Remedies, "instead", lambda *args, **changes: True)
    assert snn.origin is not None
    remedies = Remedies(snn, snn.origin, 4, [[x]])
    (found,) = findings(sound, 4, 4, "synchronous", 0.1, 0.1, lambda steps: 0.1, remedies)
    assert found.cause == "unevenness"
    assert "schedule='pipelined' or schedule='layerwise'" in found.text
    return found


def test_neurons_of_one_sign_may_become_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = uneven(monkeypatch, nn.ReLU(), neuron="iaf")
    assert "Signed neurons take them back, and with" in found.text
    assert 'neuron="signed"' in found.suggestion


@pytest.mark.parametrize("neuron", ["signed", "multi_threshold"])
def test_neurons_that_take_spikes_back_are_not_told_to(monkeypatch: pytest.MonkeyPatch, neuron: str) -> None:
    found = uneven(monkeypatch, nn.ReLU(), neuron=neuron)
    assert "Signed neurons" not in found.text
    assert ". With schedule=" in found.text
    assert f'neuron="{neuron}", schedule="pipelined"' in found.suggestion  # from_torch would take another


def test_a_code_that_conversion_takes_by_itself_is_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = uneven(monkeypatch, nn.GELU())
    assert found.suggestion == 'snn = respike.from_torch(model, calibration, timesteps=4, schedule="pipelined")'
    assert 'neuron="signed"' in uneven(monkeypatch, nn.GELU(), neuron="signed").suggestion
