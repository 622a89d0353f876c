"""What a diagnosis takes, refuses and says."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import pytest
import torch
from diagnosed import convert, small_cnn
from torch import nn
from torch.utils.data import TensorDataset

import respike
from respike.evaluation.diagnosis.parts import PARTS


@pytest.mark.slow
def test_pieces_of_any_size_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(70, 1, 8, 8)
    snn = convert(small_cnn(), x, 4)
    whole = respike.diagnose(snn, x)
    monkeypatch.setattr(sys.modules["respike.evaluation.diagnosis.looking"], "ROOM", 1)
    snn.memory_budget = 1
    parts = respike.diagnose(snn, x)
    for a, b in zip(whole.layers, parts.layers, strict=True):
        assert a.error == pytest.approx(b.error, rel=1e-5)
        assert a.pearson == pytest.approx(b.pearson, rel=1e-5)
        for name in PARTS:
            assert a.parts[name].share == pytest.approx(b.parts[name].share, abs=1e-4)


def test_data_come_in_any_form_and_only_so_many_are_looked_at() -> None:
    x, y = torch.rand(70, 1, 8, 8), torch.zeros(70)
    snn = convert(small_cnn(), x, 4)
    first = respike.diagnose(snn, x)
    assert first.samples == 70
    for data in ((x, y), TensorDataset(x, y)):
        assert respike.diagnose(snn, data).as_dict() == first.as_dict()
    assert respike.diagnose(snn, [(x[:30], y[:30]), (x[30:], y[30:])], samples=50).samples == 50
    assert respike.diagnose(snn, x, timesteps=9).timesteps == 9


def test_a_loaded_network_is_diagnosed_with_the_model(tmp_path: Path) -> None:
    x = torch.rand(40, 1, 8, 8)
    model = small_cnn().eval()
    snn = convert(model, x, 4)
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    with pytest.raises(respike.ConversionError, match=r"does not hold the ANN it was made from.*pass ann=model"):
        respike.diagnose(loaded, x)
    assert respike.diagnose(loaded, x, model).as_dict() == respike.diagnose(snn, x).as_dict()


@pytest.mark.parametrize("timesteps", [3, 8])
def test_a_network_with_thresholds_of_one_is_not_taken_for_a_normalised_one(timesteps: int, tmp_path: Path) -> None:
    """Hardtanh(0, 1) with its largest output as threshold, and a layer that is never active."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Hardtanh(0, 1), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    with torch.no_grad():
        model[0].weight.abs_().mul_(9)
        model[2].bias.fill_(-99.0)
    x = torch.rand(30, 4)
    snn = convert(model, x, timesteps, threshold="max", correction="none")
    assert all(bool((n.threshold == 1).all()) for n in snn.neurons.values())
    diagnosis = respike.diagnose(snn, x)
    assert [f.cause for f in diagnosis.findings if f.layer] == ["never active"]
    (dead,) = (f for f in diagnosis.findings if f.layer)
    assert (dead.fault, dead.suggestion) == (False, "")
    assert "3 (ReLU) is never active in the ANN on these samples, so it never fires" in dead.text
    snn.save(tmp_path / "net.respike")
    assert respike.diagnose(respike.load(tmp_path / "net.respike"), x, model).as_dict() == diagnosis.as_dict()
    for unit in (snn.normalised(), snn.quantised(), copy.copy(snn.normalised())):
        with pytest.raises(respike.ConversionError, match="unit thresholds"):
            respike.diagnose(unit, x, model)
        unit.save(tmp_path / "unit.respike")
        with pytest.raises(respike.ConversionError, match="unit thresholds"):
            respike.diagnose(respike.load(tmp_path / "unit.respike"), x, model)


def test_agreement_is_not_told_where_it_says_nothing() -> None:
    torch.manual_seed(0)
    x = torch.rand(30, 4)
    number = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    assert respike.diagnose(convert(number, x, 4), x).agreement is None
    one = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        one[2].bias[0] -= (one(x)[:, 0] - one(x)[:, 1]).median()
    snn = convert(one, x, 4)
    same = (snn(x).argmax(1) == one(x).argmax(1)).double().mean()
    assert respike.diagnose(snn, x).agreement == pytest.approx(float(same))
    with torch.no_grad():
        one[2].bias[0] = 100.0  # the same class for all
    assert respike.diagnose(convert(one, x, 4), x).agreement is None
    chance = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1), nn.Sigmoid())
    with torch.no_grad():
        chance[2].bias -= chance[:3](x).median()
    snn = convert(chance, x, 4)
    same = ((snn(x) > 0.5) == (chance(x) > 0.5)).double().mean()
    assert respike.diagnose(snn, x).agreement == pytest.approx(float(same))


def test_what_does_not_fit_is_refused() -> None:
    x = torch.rand(40, 1, 8, 8)
    model = small_cnn().eval()
    snn = convert(model, x, 4)
    with pytest.raises(respike.ConversionError, match=r"not the model.*4 \(ReLU\) has no counterpart in the model"):
        respike.diagnose(snn, x, nn.Sequential(*model[:2], nn.Flatten(), nn.Linear(216, 3)))
    other = nn.Sequential(*model[:3], nn.Conv2d(6, 7, 2), nn.ReLU(), nn.Flatten(), nn.Linear(28, 3))
    with pytest.raises(respike.ConversionError, match=r"4 \(ReLU\) has the shape \(None, 5, 2, 2\) in the network"):
        respike.diagnose(snn, x, other)
    with pytest.raises(respike.ConversionError, match="unit thresholds"):
        respike.diagnose(snn.normalised(), x, model)
    with pytest.raises(respike.ConversionError, match="must have shape"):
        respike.diagnose(snn, torch.rand(4, 1, 9, 9))
    with pytest.raises(respike.ConversionError, match="is empty"):
        respike.diagnose(snn, x[:0])
    with pytest.raises(ValueError, match="samples must be a whole number, 1 or more"):
        respike.diagnose(snn, x, samples=0)
    with pytest.raises(ValueError, match="timesteps must be a whole number"):
        respike.diagnose(snn, x, timesteps=0)


def test_it_is_told_as_table_json_and_figure(tmp_path: Path) -> None:
    x = torch.rand(40, 1, 8, 8)
    diagnosis = respike.diagnose(convert(small_cnn(), x, 2), x)
    text = str(diagnosis)
    assert all(layer.where in text for layer in diagnosis.layers)
    assert "-> snn = respike.from_torch(model, calibration, timesteps=" in text
    assert max(map(len, text.splitlines())) <= 160
    told = json.loads(diagnosis.to_json(tmp_path / "diagnosis.json"))
    assert told == json.loads((tmp_path / "diagnosis.json").read_text())
    assert told["layers"][1]["parts"]["propagated"]["share"] == diagnosis.layers[1].parts["propagated"].share
    assert told["format"] == "respike diagnosis 1"
    figure = diagnosis.plot(tmp_path / "diagnosis.svg")
    assert (tmp_path / "diagnosis.svg").stat().st_size > 5000
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [layer.where for layer in diagnosis.layers]
    bars = [patch.get_width() for patch in left.patches]
    total = sum(layer.relative for layer in diagnosis.layers)
    assert sum(bars) == pytest.approx(100 * total, rel=1e-3)  # the shares of each bar add up to its error
    assert len(right.patches) == 2


def test_a_network_has_it_as_a_method() -> None:
    x = torch.rand(20, 1, 8, 8)
    snn = convert(small_cnn(), x, 4)
    assert snn.diagnose(x, progress=False).as_dict() == respike.diagnose(snn, x, progress=False).as_dict()
