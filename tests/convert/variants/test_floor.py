"""Networks whose potentials have a lower bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from exported import CODES
from torch import Tensor, nn

import respike
from respike.layers import reset_states


def network(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 3))
    x = torch.randn(40, 6)
    return respike.from_torch(model, x, 12, correction="none", **options), x


@pytest.mark.parametrize("options", CODES.values(), ids=CODES)
def test_potentials_stay_above_the_floor_and_the_module_gives_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    snn, x = network(**options)
    bounded = snn.with_floor(-0.25)
    module = bounded.to_module()
    inputs = x[:, None].expand(-1, 12, -1)
    lowest = []
    for layer in module.modules():
        if isinstance(layer, respike.layers.RateNeuron):
            layer.record_states = True
    with torch.no_grad():
        assert torch.equal(module(inputs), bounded.simulate(x))
    for layer in module.modules():
        if isinstance(layer, respike.layers.RateNeuron):
            lowest.append(float((layer.recordings["v_mem"] / layer.spike_threshold).detach().min()))
    assert min(lowest) == pytest.approx(-0.25)
    assert not torch.equal(bounded.simulate(x), snn.simulate(x))
    assert torch.equal(bounded.with_floor(None).simulate(x), snn.simulate(x))
    bounded.save(tmp_path / "bounded.respike")
    assert torch.equal(respike.load(tmp_path / "bounded.respike").simulate(x), bounded.simulate(x))
    reset_states(module)
    with torch.no_grad():
        assert torch.equal(bounded.with_module(module).simulate(x), module(inputs))


@pytest.mark.parametrize("options", [{}, {"max_spikes": 3}, {"neuron": respike.LIF(7.0)}])
def test_neurons_are_those_of_the_layer_with_min_v_mem(options: dict[str, Any]) -> None:
    """Their equation is that of Sinabs, to which ``respike.layers`` are held."""
    for neuron in network(**options)[0].with_floor(-1).layers().values():
        currents = torch.randn(2, 30, len(neuron.threshold)) * neuron.threshold
        layer = neuron.layer
        with torch.no_grad():
            wanted = layer(currents + neuron.bias)
        found, _ = neuron.run((currents + neuron.bias).transpose(0, 1))
        assert torch.equal(found.transpose(0, 1), wanted)
        assert float((layer.v_mem / neuron.threshold).detach().min()) >= -1


def test_a_constant_current_counts_as_without_a_floor() -> None:
    """It only ever sinks where the count is 0, so that the closed form is the same."""
    snn, x = network(schedule="layerwise")
    assert torch.equal(snn.with_floor(0).simulate(x), snn.simulate(x))


@pytest.mark.parametrize("floor", [0.5, float("nan"), "low", True])
def test_what_is_no_floor_is_refused(floor: Any) -> None:
    with pytest.raises(respike.ConversionError, match="floor must be a number, 0 or less"):
        network()[0].with_floor(floor)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
def test_the_ann_is_kept_as_units_are_its_own() -> None:
    """By what a variant is made from a network and not by which one: those in the ANN's units can be fine-tuned."""
    snn, x = network()
    same = [snn.with_floor(-1), snn.with_module(snn.to_module()), snn.recalibrated(x, next(iter(snn.layers())))]
    assert [made.origin is snn.origin for made in same] == [True] * 3
    units = [made for one in (snn, *same) for made in (one.normalised(), one.quantised(8))]
    assert [made.origin for made in (*units, units[0].with_floor(-1))] == [None] * 9
    tuned = respike.finetune(snn.with_floor(-0.25), x, steps=1, learning_rate=1e-9, held_back=2)
    assert {neurons.options.floor for neurons in tuned.layers().values()} == {-0.25}
