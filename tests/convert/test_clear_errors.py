"""Mistakes of users that were once told in torch's words, or late, or not at all."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import respike
from respike.report import neuron_curves


class Two(nn.Module):
    """Two inputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.c(torch.relu(self.a(x) + self.b(y)))


def model(outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs))


@pytest.fixture(scope="module")
def snn() -> respike.SpikingNetwork:
    return respike.from_torch(model(), torch.rand(64, 6), 4)


def test_half_precision_names_the_setting_that_is_meant(snn: respike.SpikingNetwork) -> None:
    for change in (nn.Module.half, nn.Module.bfloat16):
        with pytest.raises(ValueError, match=r"float32 or float64.*precision='bfloat16'"):
            change(copy.deepcopy(snn))(torch.rand(2, 6))
    assert copy.deepcopy(snn).double()(torch.rand(2, 6)).dtype == torch.float64


def test_another_ann_is_refused_by_the_shape_of_its_outputs(snn: respike.SpikingNetwork) -> None:
    data = torch.rand(16, 6), torch.randint(3, (16,))
    with pytest.raises(ValueError, match=r"not the model.*shape \(16, 7\), and the network's \(N, 3\)"):
        respike.evaluate(snn, data, ann=model(7), progress=False)
    assert respike.evaluate(snn, data, ann=model(), progress=False).ann_accuracy is not None


def test_a_wrong_number_of_inputs_is_told_in_numbers(snn: respike.SpikingNetwork) -> None:
    x = torch.rand(8, 6)
    with pytest.raises(ValueError, match=r"takes 1 input \(input\); got 2$"):
        snn(x, x)
    two = respike.from_torch(Two(), [(torch.rand(64, 6), torch.rand(64, 4))], 4)
    with pytest.raises(ValueError, match=r"takes 2 inputs \(x, y\); got 1$"):
        two(x)


def test_options_that_are_out_of_range_are_refused_at_once(snn: respike.SpikingNetwork) -> None:
    x = torch.rand(64, 6)
    with pytest.raises(respike.ConversionError, match=r"in percent; got 0\.99, so give agreement=99"):
        respike.EarlyExit(snn, x, agreement=0.99)
    with pytest.raises(ValueError, match="whole number of bytes"):
        snn.memory_budget = 1.5  # type: ignore[assignment]
    for run in (
        lambda: setattr(snn, "timesteps", 10**8),
        lambda: snn.simulate(x, timesteps=10**8),
        lambda: respike.evaluate(snn, (x, x[:, 0].long()), timesteps=10**8, progress=False),
    ):
        with pytest.raises(ValueError, match="from 1 to 65,536"):
            run()


def test_a_neuron_in_the_wrong_case_is_suggested() -> None:
    with pytest.raises(ValueError, match=r"unknown neuron 'iaf'; did you mean IAF\? Known are"):
        neuron_curves(["iaf"])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_calibration_samples_that_are_no_numbers_are_named(bad: float) -> None:
    x = torch.rand(200, 4)
    x[137, 2] = bad
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    for data in (x, TensorDataset(x, torch.zeros(200)), [x[:100], x[100:]]):
        with pytest.raises(respike.ConversionError, match="the input of sample 137, counted from 0"):
            respike.from_torch(net, data, 4)


def test_warnings_are_about_the_users_line() -> None:
    dead = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    dead[0].weight.data.zero_()
    dead[0].bias.data.fill_(-1.0)
    with pytest.warns(respike.convert.ConversionWarning, match="never fires") as first:
        snn = respike.from_torch(dead, torch.rand(20, 4), 4)
    with pytest.warns(respike.convert.ConversionWarning, match="runs 9 timesteps") as second:
        snn.simulate(torch.rand(3, 4), timesteps=9)
    with pytest.warns(respike.convert.ConversionWarning, match="get the same one") as third:
        respike.EarlyExit(snn, torch.rand(20, 4), judge="auto")
    assert {warning.filename for told in (first, second, third) for warning in told} == {__file__}
