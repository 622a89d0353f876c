"""``timesteps="auto"``: what is chosen, from what, and when there is nothing to choose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from held_back import all_calibrate
from torch import Tensor, nn

import respike
from respike.convert.choose import search as auto
from respike.convert.choose.choice import Choice, Trial
from respike.convert.choose.search import Search, candidates
from respike.convert.choose.two_fold import Halves
from respike.convert.graph import Graph
from respike.convert.options import Auto, NeuronOptions, Options, Preference
from respike.convert.tracing.normal_form import normal_form

ALL = candidates("auto", 1)
IAF, SIGNED = NeuronOptions("iaf"), NeuronOptions("signed")


@pytest.fixture(scope="module")
def mlp() -> nn.Module:
    return respike.models.load("mnist_mlp")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return respike.models.datasets.calibration()[:200]


@pytest.fixture(scope="module")
def graph(mlp: nn.Module, images: Tensor) -> Graph:
    return normal_form(mlp, (images[:4],))


def judge(reach: dict[NeuronOptions, int], price: dict[NeuronOptions, float]) -> Callable[[NeuronOptions, int], Trial]:
    """Codes that reach the target from a certain T on, at a certain price for each step."""

    def one(kind: NeuronOptions, t: int) -> Trial:
        return Trial(t, kind.neuron, kind.max_spikes, 0.9, price[kind] * t, t >= reach[kind])

    return one


def tried(trials: list[Trial]) -> dict[str, list[int]]:
    return {code: [t.timesteps for t in trials if t.code == code] for code in dict.fromkeys(t.code for t in trials)}


@pytest.mark.parametrize("wanted", [*range(1, 18), 33, 47, 63, 64])
def test_the_smallest_t_is_found_in_few_trials(wanted: int) -> None:
    trials = Search(judge({IAF: wanted}, {IAF: 1.0}), "synops").run([IAF])
    reached = {t.timesteps for t in trials if t.reached}
    assert min(reached) == wanted
    assert wanted == 1 or wanted - 1 in {t.timesteps for t in trials if not t.reached}
    assert len(trials) <= 2 * wanted.bit_length() + 1


def test_a_code_that_can_no_longer_win_is_dropped() -> None:
    search = judge({IAF: 64, SIGNED: 4}, {IAF: 1.0, SIGNED: 2.5})
    assert tried(Search(search, "synops").run([IAF, SIGNED])) == {"iaf": [1, 2, 4, 8, 10], "signed": [1, 2, 4, 3]}
    assert tried(Search(search, "latency").run([IAF, SIGNED])) == {"iaf": [1, 2, 4], "signed": [1, 2, 4, 3]}


def test_a_code_whose_cost_hardly_grows_stays_in_the_race() -> None:
    def one(kind: NeuronOptions, t: int) -> Trial:
        cost = 100.0 if kind == SIGNED else 99 - 1 / t
        return Trial(t, kind.neuron, kind.max_spikes, 0.9, cost, t >= (2 if kind == SIGNED else 60))

    found = tried(Search(one, "synops").run([IAF, SIGNED]))
    assert {59, 60} <= set(found["iaf"])
    assert len(found["iaf"]) < 35


@pytest.mark.parametrize(("prefer", "code"), [("synops", "iaf"), ("latency", "signed")])
def test_what_is_preferred_decides(prefer: Preference, code: str) -> None:
    trials = Search(judge({IAF: 7, SIGNED: 3}, {IAF: 1.0, SIGNED: 4.0}), prefer).run([IAF, SIGNED])
    assert min((t for t in trials if t.reached), key=lambda t: t.cost(prefer)).code == code


def test_nothing_above_the_limit_is_tried() -> None:
    trials = Search(judge({IAF: 65}, {IAF: 1.0}), "synops").run([IAF])
    assert [t.timesteps for t in trials] == [1, 2, 4, 8, 16, 32, 64]
    assert not any(t.reached for t in trials)


def test_what_misses_by_far_goes_on_in_longer_strides() -> None:
    """The judge of these tests misses all samples until T is reached, which is far from the half percent allowed."""
    trials = Search(judge({IAF: 11}, {IAF: 1.0}), "synops", 0.005).run([IAF])
    assert [t.timesteps for t in trials] == [1, 4, 16, 10, 13, 11]
    assert [t.timesteps for t in trials if t.reached] == [16, 13, 11]


def test_it_reaches_the_target_and_one_step_less_does_not(mlp: nn.Module, images: Tensor) -> None:
    said: list[str] = []
    snn = respike.from_torch(mlp, images, respike.Auto(within=0.5), progress=said.append)
    choice = snn.choice
    assert choice is not None
    assert (snn.timesteps, choice.samples, choice.within) == (choice.timesteps, 200, 0.5)
    assert choice.agreement >= 0.995
    assert {t.code for t in choice.trials} == {"iaf", "signed", "iaf x2", "iaf x4", "multi_threshold", "signed x16"}
    assert choice.synops == min(t.synops for t in choice.trials if t.reached)
    below = [t for t in choice.trials if t.code == choice.chosen.code and t.timesteps < choice.timesteps]
    assert choice.timesteps == 1 or choice.timesteps - 1 in {t.timesteps for t in below}
    assert not any(t.reached for t in below)
    assert sum(line.startswith("tried ") for line in said) == len(choice.trials)
    assert any(line.startswith("trying iaf x4 at T = 1, half 2 of 2: calibrating layer 2 of ") for line in said)
    lines = str(choice).splitlines()
    assert sum(line.endswith("chosen") for line in lines) == 1
    assert f"at T = {choice.timesteps} has the fewest SynOps" in lines[len(choice.trials) + 1]
    assert json.loads(json.dumps(snn.as_dict()))["choice"]["timesteps"] == choice.timesteps


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"correction": "ridge", "neuron": "iaf"},
        {"threshold": "max", "schedule": "layerwise", "max_spikes": 2},
        {"schedule": "pipelined", "neuron": "signed"},
    ],
)
def test_the_network_is_the_one_that_these_options_give(
    mlp: nn.Module, images: Tensor, options: dict[str, Any]
) -> None:
    """The search leaves no trace: not in the graph's weights, not in the data, not in the random state."""
    found = respike.from_torch(
        mlp,
        images,
        respike.Auto(within=3, prefer="latency" if "neuron" in options else "synops"),
        samples=100,
        **options,
    )
    choice = found.choice
    assert choice is not None
    assert choice.agreement >= 0.97
    assert {(t.neuron, t.max_spikes) for t in choice.trials} <= {(k.neuron, k.max_spikes) for k in ALL}
    if options:
        assert len({t.code for t in choice.trials}) == 1
    code = {"neuron": choice.neuron, "max_spikes": choice.max_spikes}
    fixed = respike.from_torch(mlp, images, choice.timesteps, samples=100, **{**options, **code})
    assert fixed.choice is None
    assert torch.equal(found(images[:20]), fixed(images[:20]))


def test_every_sample_is_judged_once_by_a_network_that_has_not_seen_it(
    graph: Graph, mlp: nn.Module, images: Tensor
) -> None:
    """Agreement and cost are those that ``evaluate`` finds for two networks, each on the other's samples."""
    options = Options(samples=90, seed=3)
    halves = Halves(graph, [(images[:40],), (images[40:],)], options, Auto(), torch.device("cpu"))
    batches = [[x for (x,) in half] for half in halves.halves]
    assert [sum(map(len, half)) for half in batches] == [45, 45]
    everyone = torch.cat([*batches[0], *batches[1]]).flatten(1).sum(1)
    assert torch.equal(everyone.sort()[0], images[:90].flatten(1).sum(1).sort()[0])
    trial = halves.judge(IAF, 3)
    agreed = synops = 0.0
    for own, other in (batches, batches[::-1]):
        snn = respike.from_torch(mlp, all_calibrate(*own), 3, seed=3)
        result = respike.evaluate(snn, (torch.cat(other), torch.zeros(45)), ann=mlp)
        assert result.agreement is not None
        agreed += result.agreement[-1] / 2
        synops += result.synops[-1] / 2
    assert trial.agreement == pytest.approx(agreed)
    assert trial.synops == pytest.approx(synops, rel=1e-9)


def test_a_half_that_rules_the_target_out_is_enough(graph: Graph, mlp: nn.Module, images: Tensor) -> None:
    """The other half is not tried, as no answers of its would help; what is reported is true of the one."""
    made = 0

    class Counted(Halves):
        def _calibrated(self, data: list[list[Tensor]], options: Options, progress: Any) -> Any:
            nonlocal made
            made += 1
            return super()._calibrated(data, options, progress)

    for within, expected in ((2.0, 1), (60.0, 2)):
        made = 0
        halves = Counted(graph, [(images[:90],)], Options(), Auto(within=within), torch.device("cpu"))
        trial = halves.judge(IAF, 1)
        assert made == expected
        assert trial.reached == (expected == 2)
    snn = respike.from_torch(mlp, [x for (x,) in halves.halves[0]], 1)
    (other,) = (x for (x,) in halves.halves[1])
    result = respike.evaluate(snn, (other, torch.zeros(45)), ann=mlp)
    assert Counted(graph, [(images[:90],)], Options(), Auto(within=2), torch.device("cpu")).judge(
        IAF, 1
    ).agreement == pytest.approx(result.agreement[-1])


def test_the_seed_decides(graph: Graph, images: Tensor) -> None:
    def choice(seed: int) -> Choice:
        halves = Halves(graph, [(images,)], Options(samples=60, seed=seed), Auto(within=2), torch.device("cpu"))
        return auto.choose(halves, [IAF])[0]

    assert choice(0) == choice(0)
    assert choice(0) != choice(1)


class Label:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError("the search looked at a label")


def test_labels_are_never_looked_at_and_data_is_read_once(mlp: nn.Module, images: Tensor) -> None:
    stream = ((image.unsqueeze(0), Label()) for image in images[:50])  # a generator: there is no second time
    choice = respike.from_torch(mlp, stream, respike.Auto(within=5), neuron="iaf").choice
    assert choice is not None
    assert choice.samples == 50


def test_classes_are_compared_as_they_are(mlp: nn.Module, images: Tensor) -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"class": self.net(x).argmax(1)}

    scores, classes = (
        respike.from_torch(m, images[:40], respike.Auto(within=5), neuron="iaf").choice for m in (mlp, Decides())
    )
    assert scores == classes


def test_out_of_reach_is_an_error_that_says_how_far(
    mlp: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "LIMIT", 2)
    with pytest.raises(respike.ConversionError) as caught:
        respike.from_torch(mlp, images, respike.Auto(within=0), neuron="iaf", correction="none", threshold="max")
    message = str(caught.value)
    assert "no network of up to 2 timesteps decides as the ANN on at least 100 % of 200 calibration samples" in message
    assert "correction='ridge'" in message
    assert "iaf     2" in message


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(x), torch.relu(-x)


@pytest.mark.parametrize(
    ("model", "samples", "message"),
    [
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Flatten(0)), 20, r"the shape \(.*\)"),
        (Pair(), 20, "this network has 2"),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU()), 1, "calibrates on one half"),
    ],
)
def test_what_cannot_be_compared_is_an_error(model: nn.Module, samples: int, message: str) -> None:
    with pytest.raises(respike.ConversionError, match=message):
        respike.from_torch(model, torch.randn(samples, 6), "auto")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timesteps": "fast"}, "whole number from 1 to 65,536, or 'auto'; got 'fast'"),
        ({"timesteps": 0}, "whole number from 1 to 65,536, or 'auto'; got 0"),
        ({"neuron": "izhikevich"}, "neuron must be one of"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    with pytest.raises(respike.ConversionError, match=message):
        respike.from_torch(model, torch.randn(20, 6), **{"timesteps": "auto", **options})


def test_an_onnx_file_takes_it_too() -> None:
    pytest.importorskip("onnx")
    folder = Path(__file__).parents[1] / "onnx_import" / "fixtures"
    x = torch.from_numpy(np.load(folder / "keras_mlp.npz")["x"])
    snn = respike.from_onnx(folder / "keras_mlp.onnx", x, respike.Auto(within=10, judge="decision"), neuron="iaf")
    assert snn.choice is not None
    assert snn.choice.agreement >= 0.9
