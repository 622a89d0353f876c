"""What hidden layers send is compared with the ANN's activations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert.run.analog import Activations, all_outputs
from respike.training.hidden_layers import HiddenLayers


class Two(nn.Module):
    """A ReLU that varies and one that is the same for all inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 4)
        self.one, self.two = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.second(self.one(self.first(x))))
        return x.sum(1, keepdim=True) + x


@pytest.fixture(scope="module")
def parts() -> tuple[Two, respike.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model, x = Two(), torch.randn(64, 6)
    return model, respike.from_torch(model, x, 4, correction="none"), x


def test_it_is_the_mean_squared_error_in_units_of_the_variance(
    parts: tuple[Two, respike.SpikingNetwork, Tensor],
) -> None:
    model, snn, x = parts
    module, wanted = snn.to_module(), {}
    hidden = HiddenLayers(module)
    assert snn.origin is not None
    mode = Activations()
    outputs, activations = all_outputs(snn.origin, [x], mode=mode), mode.sent
    torch.testing.assert_close(outputs[0], model(x))
    hidden.measure(activations)
    sent: dict[str, Tensor] = {}
    for name in ("one", "two"):
        getattr(model, name).register_forward_hook(lambda layer, given, y, name=name: wanted.update({name: y}))
        module.get_submodule(name).register_forward_hook(lambda layer, given, y, name=name: sent.update({name: y}))
    model(x)
    module(x[:, None].expand(-1, 4, -1))
    each = [(sent[n].mean(1) - wanted[n]).square().mean() / wanted[n].var(correction=0) for n in wanted]
    found = hidden(activations)
    torch.testing.assert_close(found, torch.stack(each).mean())
    found.backward()
    assert bool(module.get_submodule("first").weight.grad.abs().sum() > 0)  # type: ignore[union-attr, operator]


def test_a_layer_that_does_not_vary_is_left_out() -> None:
    torch.manual_seed(0)
    model, x = Two(), torch.randn(32, 6)
    with torch.no_grad():
        model.second.weight.zero_()
        model.second.bias.fill_(0.3)
    snn = respike.from_torch(model, x, 4, correction="none")
    module = snn.to_module()
    hidden = HiddenLayers(module)
    assert snn.origin is not None
    mode = Activations()
    all_outputs(snn.origin, [x], mode=mode)
    activations = mode.sent
    hidden.measure(activations)
    module(x[:, None].expand(-1, 4, -1))
    assert bool(hidden(activations).isfinite())
    assert [hidden.variance(name) > 0 for name in activations] == [True, False]


@pytest.mark.parametrize("code", [{}, {"neuron": "signed"}, {"neuron": "multi_threshold"}, {"max_spikes": 2}])
def test_hidden_layers_come_closer(code: dict[str, Any]) -> None:
    """On strangers, in the first layer of a network with three."""
    torch.manual_seed(1)
    model = nn.Sequential(*(layer for n in (8, 24, 24) for layer in (nn.Linear(n, 24), nn.ReLU())), nn.Linear(24, 4))
    x, strangers = torch.randn(800, 8), torch.randn(500, 8)
    snn = respike.from_torch(model, x[:256], 2, correction="none", **code)

    def error(network: respike.SpikingNetwork) -> float:
        return respike.diagnose(network, strangers, model, timesteps=2).layers[1].relative

    alone, told = (respike.finetune(snn, x, steps=200, hidden=weight) for weight in (0.0, 10.0))
    assert error(told) < min(error(alone), error(snn))
