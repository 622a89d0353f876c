"""A budget of synaptic operations: which layers get more spikes a step, what it costs, what it brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import respike
from respike.cli import main
from respike.convert.choose.allocate import ROUNDS, spend
from respike.convert.choose.sensitivity import Level
from respike.convert.errors import ConversionWarning


@pytest.fixture(scope="module")
def cnn() -> nn.Module:
    return respike.models.load("mnist_cnn")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return respike.models.datasets.calibration()[:64]


@pytest.fixture(scope="module")
def allocated(cnn: nn.Module, images: Tensor) -> respike.SpikingNetwork:
    return respike.from_torch(cnn, images[:32], 2, budget=1.5)


class TwoPaths(nn.Module):
    """Two layers of the same size, of which one counts for a hundred times the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.heavy, self.light = (nn.Sequential(nn.Linear(8, 40), nn.ReLU()) for _ in range(2))
        self.head = nn.Linear(80, 3)
        with torch.no_grad():
            self.head.weight[:, 40:] /= 100

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.cat([self.heavy(x), self.light(x)], 1))
        return out


def most(snn: respike.SpikingNetwork) -> dict[str, int]:
    assert snn.allocation is not None
    return {share.where: share.max_spikes for share in snn.allocation.layers}


@pytest.mark.parametrize("neuron", ["iaf", "lif", "signed"])
def test_the_layer_that_counts_gets_the_spikes(neuron: Any) -> None:
    x = torch.randn(64, 8)
    given = most(respike.from_torch(TwoPaths(), x, 2, budget=1.6, neuron=neuron))
    assert given["heavy.1 (ReLU)"] > 1
    assert given["light.1 (ReLU)"] == 1


def test_the_best_step_for_its_price_comes_first_and_none_is_too_dear() -> None:
    layers = {
        "good": [Level(9, 10), Level(3, 20), Level(1, 40), Level(0.9, 80)],
        "dear": [Level(9, 10), Level(2, 100)],
        "useless": [Level(1, 10), Level(1, 11)],
        "silent": [Level(0, 0), Level(0, 0)],
        "free": [Level(1, 5), Level(0.5, 5)],
    }
    assert spend(layers, 0, 1) == ({}, 0)
    assert spend(layers, 9.9, 1)[0] == {"free": 2}
    assert spend(layers, 31, 1) == ({"good": 4, "free": 2}, pytest.approx(30))
    assert spend(layers, 69, 3)[0] == {"good": 12, "free": 6}  # what is dear is no longer within reach
    assert spend(layers, 200, 1)[0] == {"good": 8, "dear": 2, "free": 2}


def test_the_budget_holds_and_the_output_is_better(
    cnn: nn.Module, images: Tensor, allocated: respike.SpikingNetwork
) -> None:
    plain = respike.from_torch(cnn, images[:32], 2)
    found = allocated.allocation
    assert found is not None
    assert 1 < found.ratio <= found.budget == 1.5
    assert found.samples == 32
    assert found.error < found.plain_error
    assert max(most(allocated).values()) > 1
    wanted = cnn(images[32:64])
    before, after = ((snn(images[32:64]) - wanted).square().mean() for snn in (plain, allocated))
    assert after < 0.8 * before

    labels = torch.zeros(32)  # what it says of its costs is what an evaluation finds
    costs = [respike.evaluate(snn, (images[:32], labels)).synops[-1] for snn in (plain, allocated)]
    assert [found.plain_synops, found.synops] == pytest.approx(costs, rel=1e-9)
    layers = [m.options.max_spikes for m in allocated.neurons.children()]  # type: ignore[union-attr]
    assert layers == list(most(allocated).values())


def test_it_is_said_in_words_and_in_numbers(allocated: respike.SpikingNetwork) -> None:
    said = str(allocated.allocation).splitlines()
    assert said[0].split() == ["layer", "max", "spikes", "spikes", "plain"]
    assert said[1].split()[1] == "(ReLU)"
    assert "times the SynOps of the plain network, for a budget of 1.5; the output's mean" in " ".join(said)
    found = json.loads(json.dumps(allocated.as_dict()))["allocation"]
    assert found["ratio"] <= found["budget"]
    assert [layer["max_spikes"] for layer in found["layers"]] == list(most(allocated).values())


def test_the_same_again(images: Tensor) -> None:
    mlp = respike.models.load("mnist_mlp")
    once, again = (respike.from_torch(mlp, images, 2, budget=1.5, seed=4) for _ in range(2))
    assert once.allocation == again.allocation
    assert torch.equal(once(images), again(images))


@pytest.mark.parametrize("options", [{}, {"threshold": "max", "samples": 10}, {"correction": "ridge", "neuron": "lif"}])
def test_a_budget_of_one_is_the_plain_network(options: dict[str, Any], images: Tensor) -> None:
    mlp = respike.models.load("mnist_mlp")
    plain, one = (respike.from_torch(mlp, images, 3, budget=b, **options) for b in (None, 1))
    assert torch.equal(plain(images), one(images))
    assert plain.allocation is None
    assert plain.as_dict()["allocation"] is None
    assert one.allocation is not None
    assert (one.allocation.ratio, one.allocation.error) == (1, one.allocation.plain_error)
    assert "no layer is worth more spikes within it" in str(one.allocation)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": "percentile", "schedule": "layerwise"},
        {"correction": "ridge", "schedule": "pipelined", "max_spikes": 2},
        {"correction": "none", "neuron": "signed", "granularity": "layer"},
    ],
)
def test_it_goes_with_all_other_options(options: dict[str, Any], images: Tensor) -> None:
    mlp = respike.models.load("mnist_mlp")
    weights = [p.clone() for p in mlp.parameters()]
    said: list[str] = []
    snn = respike.from_torch(mlp, [images[:40], images[40:]], 2, budget=2, samples=60, progress=said.append, **options)
    found = snn.allocation
    assert found is not None
    assert 1 < found.ratio <= 2
    assert found.samples == 60
    assert all(n % options.get("max_spikes", 1) == 0 for n in most(snn).values())
    assert 1 <= sum(line.startswith("tried") for line in said) <= ROUNDS
    assert all(torch.equal(p, q) for p, q in zip(mlp.parameters(), weights, strict=True))


def test_pooled_capped_and_silent_layers_and_several_outputs() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3)
            self.silent, self.last = nn.Linear(6, 4), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = torch.max_pool2d(torch.relu(self.first(x)), 2)
            x = nn.functional.relu6(self.second(x)).mean((2, 3))
            return {"class": self.last(x).argmax(1), "spikes": torch.relu(self.silent(x) - 99), "x": x}

    with pytest.warns(ConversionWarning, match="never fires") as warned:
        snn = respike.from_torch(Odd(), torch.rand(40, 1, 12, 12), 2, budget=2)
    assert len(warned) == 1
    assert snn.allocation is not None
    assert 1 < snn.allocation.ratio <= 2
    assert sorted(snn(torch.rand(3, 1, 12, 12))) == ["class", "spikes", "x"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0.9}, "budget must be a number, 1 or more"),
        ({"budget": float("nan")}, "budget must be a number, 1 or more"),
        ({"budget": float("inf")}, "budget must be a number, 1 or more"),
        ({"budget": True}, "budget must be a number, 1 or more"),
        ({"budget": "much"}, "got 'much'"),
        ({"budget": 1.5, "neuron": "multi_threshold"}, "budget is not supported for neuron='multi_threshold'"),
        ({"budget": 1.5, "timesteps": "auto"}, "find T first"),
    ],
)
def test_what_makes_no_sense_is_an_error(options: dict[str, Any], message: str, images: Tensor) -> None:
    with pytest.raises(respike.ConversionError, match=message):
        respike.from_torch(respike.models.load("mnist_mlp"), images[:8], **options)


def test_an_onnx_file_takes_it_too() -> None:
    pytest.importorskip("onnx")
    folder = Path(__file__).parent / "onnx_import" / "fixtures"
    x = torch.from_numpy(np.load(folder / "keras_mlp.npz")["x"])
    assert respike.from_onnx(folder / "keras_mlp.onnx", x, 4, budget=1.5).allocation is not None


def test_the_command_line_takes_it_and_says_what_came_of_it(tmp_path: Path, images: Tensor) -> None:
    data = str(tmp_path / "few.npz")
    np.savez(data, x=images[:20].numpy(), y=np.zeros(20, np.int64))
    args = ("mnist_mlp", "-T", "2", "--samples", "32", "--budget", "1.5")
    shown = CliRunner().invoke(main, ["convert", *args])
    assert shown.exit_code == 0, shown.output
    assert "times the SynOps of the plain network, for a budget of 1.5" in " ".join(shown.output.split())
    for command in (["convert", *args], ["evaluate", *args, "--data", data]):
        found = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
        assert 1 <= found["allocation"]["ratio"] <= 1.5
    assert "budget must be" in CliRunner().invoke(main, ["convert", "mnist_mlp", "--budget", "0"]).output
