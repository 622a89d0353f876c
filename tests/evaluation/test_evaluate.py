"""Evaluation against the same numbers counted by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import respike


@pytest.fixture(scope="module")
def setup() -> tuple[nn.Module, respike.SpikingNetwork, Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()
    x = torch.rand(50, 1, 8, 8)
    y = torch.randint(0, 3, (50,))
    return model, respike.from_torch(model, x, 6), x, y


def test_accuracy_and_agreement_at_every_step(setup: Any) -> None:
    model, snn, x, y = setup
    result = respike.evaluate(snn, (x, y), ann=model, batch_size=7)
    steps = snn.simulate(x).argmax(2)
    with torch.no_grad():
        ann = model(x).argmax(1)
    np.testing.assert_allclose(result.accuracy, (steps == y[:, None]).double().mean(0).numpy())
    np.testing.assert_allclose(result.agreement, (steps == ann[:, None]).double().mean(0).numpy())
    assert result.ann_accuracy == pytest.approx(float((ann == y).double().mean()))
    assert result.samples == 50


@pytest.mark.parametrize(
    ("schedule", "max_spikes"), [("synchronous", 1), ("synchronous", 3), ("layerwise", 1), ("pipelined", 1)]
)
def test_spikes_and_synops_are_those_counted_by_hand(setup: Any, schedule: str, max_spikes: int) -> None:
    model, _, x, y = setup
    snn = respike.from_torch(model, x, 6, schedule=schedule, max_spikes=max_spikes)
    result = respike.evaluate(snn, (x, y))
    counts: dict[str, Tensor] = {}

    def record(node: Any, events: Tensor, values: Tensor) -> None:
        counts[node.name] = torch.cat([counts[node.name], events]) if node.name in counts else events

    for _ in snn.blocks([x], recorder=record):
        pass
    first, pool, second = counts.values()
    # The pool's increments are the increments of the largest count in each window.
    pooled = torch.nn.functional.max_pool2d(first.cumsum(0).flatten(0, 1), 2).unflatten(0, (6, 50))
    if schedule != "synchronous":  # events of entry t are the counts of the run with t steps
        assert torch.equal(pool, torch.nn.functional.max_pool2d(first.flatten(0, 1), 2).unflatten(0, (6, 50)))
    else:
        assert torch.equal(pool.cumsum(0), pooled)
        first, pool, second = (c.cumsum(0) for c in (first, pool, second))
    spikes = (first.sum((2, 3, 4)) + second.sum((2, 3, 4))).mean(1)
    np.testing.assert_allclose(result.spikes, spikes.double().numpy(), rtol=1e-6)
    # 2x2 windows over a 3x3 map: corners are seen once, edges twice, the centre four times; 6 channels, 3 outputs.
    seen = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
    synops = ((pool * seen).sum((2, 3, 4)) * 6 + second.sum((2, 3, 4)) * 3).mean(1)
    np.testing.assert_allclose(result.synops, synops.double().numpy(), rtol=1e-6)
    assert result.neurons == 4 * 36 + 6 * 4
    np.testing.assert_allclose(result.spikes_per_neuron, result.spikes / result.neurons)
    assert (result.macs == 4 * 36 * 9).all()
    assert result.ann_macs == 4 * 36 * 9 + 6 * 4 * 16 + 72


def test_every_form_of_data_gives_the_same(setup: Any) -> None:
    model, snn, x, y = setup
    wanted = respike.evaluate(snn, (x, y), ann=model).to_json()
    data = TensorDataset(x, y)
    forms = [data, DataLoader(data, batch_size=20), [(x[:30], y[:30]), (x[30:], y[30:])], [{"image": x, "label": y}]]
    for form in forms:
        assert respike.evaluate(snn, form, ann=model).to_json() == wanted


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean(1)


def test_a_metric_of_the_users_own(setup: Any) -> None:
    model, snn, x, _ = setup
    target = torch.randn(50, 3)
    result = respike.evaluate(snn, (x, target), ann=model, metric=squared_error)
    steps = snn.simulate(x)
    wanted = [float(squared_error(steps[:, t], target).mean()) for t in range(6)]
    np.testing.assert_allclose(result.accuracy, wanted, rtol=1e-5)
    assert result.agreement is None
    assert result.metric == "squared_error"
    assert "squared_error" in str(result)


def test_a_head_that_decides_is_taken_as_decision(setup: Any) -> None:
    model, _, x, y = setup

    class Decide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(self.net(x), 1).argmax(1)

    plain = respike.evaluate(respike.from_torch(model, x, 4), (x, y), ann=model)
    decided = respike.evaluate(respike.from_torch(Decide(), x, 4), (x, y), ann=Decide())
    np.testing.assert_allclose(decided.accuracy, plain.accuracy)
    np.testing.assert_allclose(decided.agreement, plain.agreement)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no data"),
        ("mnist", "data must be"),
        ([torch.rand(3, 1, 8, 8)], r"must be \(input, target\)"),
        ((torch.rand(3, 1, 8, 8), torch.zeros(4)), "do not belong together"),
    ],
)
def test_bad_data_is_an_error(setup: Any, data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        respike.evaluate(setup[1], data)


def test_outputs_that_are_no_classes_need_a_metric() -> None:
    snn = respike.from_torch(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Flatten(0)), torch.rand(8, 3), 2)
    with pytest.raises(ValueError, match="pass metric"):
        respike.evaluate(snn, (torch.rand(8, 3), torch.zeros(8)))


def test_json_holds_everything_and_files_are_written_whole(setup: Any, tmp_path: Path) -> None:
    model, snn, x, y = setup
    result = respike.evaluate(snn, (x, y), ann=model)
    text = result.to_json(tmp_path / "result.json")
    found = json.loads((tmp_path / "result.json").read_text())
    assert found == json.loads(text)
    assert found["accuracy"] == result.accuracy.tolist()
    assert [layer["where"] for layer in found["layers"]] == ["1 (ReLU)", "2 (MaxPool2d)", "4 (ReLU)"]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        result.to_json(tmp_path / "nowhere" / "result.json")
    with pytest.raises(ValueError, match="endings that work"):
        result.plot(tmp_path / "figure.docx")
    result.plot(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figure.png", "result.json"]


def test_the_table_and_the_first_step_within_reach(setup: Any) -> None:
    model, snn, x, y = setup
    result = respike.evaluate(snn, (x, y), ann=model, timesteps=5)
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines] == ["T", "1", "2", "4", "5", "ANN", "50"]
    first = result.steps_to_within(100)
    assert first == 1
    reached = result.steps_to_within(0.0)
    gap = result.ann_accuracy - result.accuracy
    assert reached is None or (gap[reached - 1 :] <= 1e-9).all()
