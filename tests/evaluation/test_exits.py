"""Stopping early: the same answers as without, at the step the score says, and samples that stopped cost nothing."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert.count.event_counter import EventCounter
from respike.convert.early_exit import EarlyExit, Score, exits
from respike.evaluation import evaluate_exit


@pytest.fixture(scope="module")
def setup() -> tuple[respike.SpikingNetwork, Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()
    with torch.no_grad():
        model[6].weight *= 20  # scores that are apart
    x = torch.rand(80, 1, 8, 8)
    return respike.from_torch(model, x, 12), x, model(x).argmax(1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("score", get_args(Score))
def test_samples_stop_when_their_score_says_and_with_the_answer_they_had(
    setup: Any, score: Score, precision: Any
) -> None:
    snn, x, _ = setup
    snn.precision = precision
    early = EarlyExit(snn, x, score=score, agreement=95)
    output, steps = early(x)
    scores, _ = early.scores([x])
    assert torch.equal(steps, exits(scores, early.threshold) + 1)
    assert len(steps.unique()) > 1
    estimates = snn.simulate(x)
    torch.testing.assert_close(output, estimates[torch.arange(len(x)), steps - 1], rtol=1e-5, atol=1e-5)
    assert early.expected == pytest.approx(float(steps.double().mean()))
    kept = (output.argmax(1) == estimates[:, -1].argmax(1)).double().mean()
    assert kept >= 0.95
    snn.precision = "float32"


def test_scores_are_what_they_are_called(setup: Any) -> None:
    snn, x, _ = setup
    estimates = snn.simulate(x)
    margin, answers = EarlyExit(snn, x, score="margin").scores([x])
    best = estimates.sort(2, descending=True).values
    clock = torch.arange(1, 13)
    torch.testing.assert_close(margin, (clock * (best[..., 0] - best[..., 1])).T)
    assert torch.equal(answers, estimates.argmax(2).T)
    confidence, _ = EarlyExit(snn, x, score="confidence").scores([x])
    torch.testing.assert_close(confidence, estimates.softmax(2).amax(2).T)
    stability, _ = EarlyExit(snn, x, score="stability").scores([x])
    for n in range(len(x)):
        run = 0
        for t in range(12):
            run = run + 1 if t and answers[t, n] == answers[t - 1, n] else 1
            assert stability[t, n] == run


def test_the_threshold_is_the_quickest_that_keeps_the_answers(setup: Any) -> None:
    snn, x, _ = setup
    careful, careless = (EarlyExit(snn, x, agreement=share) for share in (100, 80))
    assert careless.expected < careful.expected <= 12
    assert careless.threshold < careful.threshold
    assert torch.equal(careful(x).output.argmax(1), snn(x).argmax(1))


def test_samples_that_stopped_cost_nothing(setup: Any) -> None:
    snn, x, y = setup
    early = EarlyExit(snn, x, agreement=95)
    result = evaluate_exit(early, (x, y), batch_size=33)
    total = 0.0
    for image, steps in zip(x.split(1), early(x).steps.tolist(), strict=True):
        counter = EventCounter(snn.fan_out, 12)
        list(snn.blocks([image], recorder=counter))
        total += sum(float(curve[:steps].sum()) for curve in counter.synops.values())
    assert result.synops == pytest.approx(total / len(x))
    assert result.synops < result.fixed_synops
    assert result.fixed_synops == pytest.approx(respike.evaluate(snn, (x, y)).synops[-1])
    seen: list[int] = []
    early(x, recorder=lambda node, events, values: seen.append(events.shape[1]))
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < seen[0] == 80


def test_the_evaluation_adds_up(setup: Any) -> None:
    snn, x, y = setup
    early = EarlyExit(snn, x, agreement=95)
    result = evaluate_exit(early, (x, y), batch_size=33)
    output, steps = early(x)
    assert result.accuracy == pytest.approx(float((output.argmax(1) == y).double().mean()))
    assert result.fixed_accuracy == pytest.approx(float((snn(x).argmax(1) == y).double().mean()))
    assert result.latency == pytest.approx(float(steps.double().mean()))
    assert sum(result.stopped) == 80
    assert np.dot(result.stopped, range(1, 13)) / 80 == pytest.approx(result.latency)
    waits = list(result.percentiles.values())
    assert waits == sorted(waits)
    assert sum(result.stopped[: result.percentiles[90]]) >= 72
    latencies = [latency for latency, _ in result.curve]
    assert latencies == sorted(latencies)
    assert result.curve[-1] == (12, pytest.approx(result.fixed_accuracy))
    assert "mean latency" in str(result)
    json.dumps(result.as_dict(), allow_nan=False)
    assert len(result.plot().axes) == 2


class Mixes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.relu(x)).flip(0)


def test_what_cannot_stop_early_is_refused(setup: Any) -> None:
    snn, x, _ = setup
    for options, message in (
        ({"score": "entropy"}, "score must be one of margin, confidence, stability; got 'entropy'"),
        ({"agreement": 0}, "agreement must be a number, above 0 and at most 100"),
    ):
        with pytest.raises(respike.ConversionError, match=message):
            EarlyExit(snn, x, **options)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1))
    z = torch.rand(20, 5)
    with pytest.raises(respike.ConversionError, match="early exit requires schedule='synchronous'; this network"):
        EarlyExit(respike.from_torch(model, z, 4, schedule="layerwise"), z)
    with pytest.raises(respike.ConversionError, match="this network mixes them"):
        EarlyExit(respike.from_torch(Mixes().eval(), z, 4), z)
    early = EarlyExit(snn, x)
    with pytest.raises(ValueError, match="must be one-hot"):
        evaluate_exit(early, (x, torch.rand(80, 3)))
