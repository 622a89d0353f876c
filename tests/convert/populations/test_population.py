"""Networks with smooth activations as networks of integrate-and-fire neurons."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert.run.analog import evaluate_graph

X = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TEST = torch.randn(100, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def net(activation: type[nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), activation(), nn.Conv2d(6, 6, 3, stride=2), activation(), nn.Flatten(), nn.Linear(24, 5)
    ).eval()


def converted(model: nn.Module, timesteps: int, population: int = 4, **options: object) -> respike.SpikingNetwork:
    given = {"neuron": "iaf", "samples": 100, **options}
    return respike.from_torch(model, X, timesteps, population=population, **given)  # type: ignore[arg-type]


def off(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::respike.convert.ConversionWarning")  # one ReLU is far off
@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU, nn.Hardswish])
def test_the_graph_is_the_ann_but_for_the_fit(activation: type[nn.Module]) -> None:
    model = net(activation)
    wanted, errors = model(TEST), []
    for k in (1, 4, 16):
        snn = converted(model, 4, k, threshold="max", correction="none")
        assert snn.origin is not None
        errors.append(off(evaluate_graph(snn.origin, [TEST])[0], wanted))
        fits = [population.error for population in snn.graph.populations.values()]
        assert errors[-1] < 4 * max(fits) and len(fits) == 2
    assert errors[2] < errors[1] / 3 < errors[0] / 9


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::respike.convert.ConversionWarning")
def test_the_error_falls_with_neurons_and_with_time() -> None:
    model = net(nn.GELU)
    found = {(k, t): off(converted(model, t, k)(TEST), model(TEST)) for k in (1, 8) for t in (8, 64)}
    assert found[8, 64] < found[8, 8] / 2 and found[8, 64] < found[1, 64] / 2
    assert found[8, 64] < 0.05


@torch.no_grad()
def test_spikes_have_one_sign_and_layers_the_users_names(tmp_path: Path) -> None:
    model = net(nn.SiLU)
    snn = converted(model, 16)
    assert {neurons.options.neuron for neurons in snn.layers().values()} == {"iaf"}
    assert [neurons.where for neurons in snn.layers().values()] == [
        f"{place} (SiLU {i}/4)" for place in (1, 3) for i in (1, 2, 3, 4)
    ]
    told = snn.as_dict()["populations"]
    assert [(one["where"], one["neurons"]) for one in told] == [("1 (SiLU)", 4), ("3 (SiLU)", 4)]
    assert all(0 < one["error"] < 0.1 for one in told)
    assert "population: 1 (SiLU), 4 neurons for each value, error" in snn.summary()
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    assert torch.equal(loaded(TEST), snn(TEST)) and loaded.summary() == snn.summary()
    assert loaded.graph.populations == snn.graph.populations
    again = loaded.recalibrated(X, "3", ann=model, samples=50)  # all four layers of it
    assert off(again(TEST), model(TEST)) < 0.2
    with pytest.raises(respike.ConversionError, match="has no smooth function at 1"):
        loaded.recalibrated(X, "3", ann=net(nn.ReLU))


@torch.no_grad()
@pytest.mark.parametrize("schedule", ["layerwise", "pipelined"])
def test_other_schedules(schedule: str) -> None:
    model = net(nn.GELU)
    assert off(converted(model, 32, 8, schedule=schedule)(TEST), model(TEST)) < 0.05


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::respike.convert.ConversionWarning")
def test_closeness_is_to_the_ann_and_not_to_its_sums() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 1)).eval()
    model[0].weight *= 6
    snn = converted(model, 64, 1)
    assert snn.origin is not None and snn.closeness is not None and snn.closeness.error is not None
    apart = off(evaluate_graph(snn.origin, [TEST])[0], model(TEST))
    assert off(snn(TEST), evaluate_graph(snn.origin, [TEST])[0]) < apart / 3
    assert snn.closeness.error > apart / 2


@torch.no_grad()
def test_encoded_inputs_without_a_scale_and_chosen_timesteps() -> None:
    model = net(nn.GELU)
    snn = respike.from_torch(model, respike.Encoded(X, "error_diffusion"), 32, population=4, samples=100)
    assert snn.graph.encodings and off(snn(TEST), model(TEST)) < 0.3
    chosen = respike.from_torch(model, X, respike.Auto(within=20), population=4, neuron="iaf", samples=60)
    assert chosen.choice is not None and len(chosen.graph.populations) == 2


@torch.no_grad()
def test_an_interrupted_conversion_goes_on_to_the_same_network(tmp_path: Path) -> None:
    model, file = net(nn.GELU), tmp_path / "net.resume"
    first, second = (converted(model, 8, resume=file) for _ in range(2))
    assert first.graph.populations == second.graph.populations == converted(model, 8).graph.populations
    assert torch.equal(first(TEST), second(TEST))
    with pytest.raises(ValueError, match="it was made with population=4, and this has population=5"):
        converted(model, 8, 5, resume=file)


def test_what_it_cannot_do_is_said() -> None:
    relu = net(nn.ReLU)
    with pytest.raises(respike.ConversionError, match="population=4 has no effect: between the layers"):
        converted(relu, 4)
    torch.manual_seed(0)
    normed = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3)).eval()
    with pytest.raises(respike.ConversionError, match="spikes of one sign") as refused:
        converted(normed, 4)
    assert "no sum of ReLUs stands for norms" in str(refused.value)
    with pytest.raises(respike.ConversionError, match=r"neuron='signed'$"):
        respike.from_torch(normed, X, 8, neuron="iaf")
    with pytest.raises(respike.ConversionError, match="or population=8: "):
        respike.from_torch(net(nn.GELU), X, 8, neuron="iaf")
    with pytest.raises(respike.ConversionError, match="is not finite on the calibration samples"):
        converted(nn.Sequential(Endless(), nn.GELU(), nn.Flatten(), nn.Linear(64, 3)), 4)


class Endless(nn.Module):
    """Values beyond float32, of some samples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.conv.weight, 3e38)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x.clamp(-1, 1) * (x > 2.5) * 2)
        return found
