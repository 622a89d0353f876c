"""Neuron models in a ReLU's place: what they become, against the models themselves, and why others are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import respike
from respike import layers
from respike.convert.choose.layer_as_neuron import stand_in
from respike.convert.graph import Node
from respike.convert.options import NeuronOptions
from respike.convert.run.neurons import SpikingReLU
from respike.layers import MaxSpike, MembraneReset, NoReset, SingleSpike, SpikingLayer, equations

BETA = math.exp(-1 / 20)
EULER = -1 / math.log(1 - 1 / 20)

ACCEPTED: dict[str, tuple[SpikingLayer, NeuronOptions]] = {
    "IAF": (layers.IAF(spike_fn=SingleSpike), NeuronOptions("iaf")),
    "IAF, bursts": (layers.IAF(spike_fn=MaxSpike(3)), NeuronOptions("iaf", 3)),
    "constant leak": (layers.ConstantLeakIAF(0.2, min_v_mem=None, spike_fn=SingleSpike), NeuronOptions("iaf")),
    "LIF": (layers.LIF(20.0, spike_fn=SingleSpike), NeuronOptions("lif", tau_mem=20.0)),
    "LIF, compensated": (
        layers.LIF(20.0, spike_fn=MaxSpike(2), leak_compensation=True),
        NeuronOptions("lif", 2, tau_mem=20.0),
    ),
    "Leaky": (layers.Leaky(BETA), NeuronOptions("lif", tau_mem=20.0)),
    "Leaky, no leak": (layers.Leaky(1.0), NeuronOptions("iaf")),
    "Lapicque": (layers.Lapicque(R=5.0, C=4.0), NeuronOptions("lif", tau_mem=EULER)),
    "TextbookLIF": (
        layers.TextbookLIF(20.0, integration="exponential", reset_mechanism="subtract"),
        NeuronOptions("lif", tau_mem=20.0),
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_leak_and_a_limit_are_what_is_left_of_a_model(name: str) -> None:
    layer, wanted = ACCEPTED[name]
    found = stand_in(layer)
    assert (found.neuron, found.max_spikes) == (wanted.neuron, wanted.max_spikes)
    assert found.tau_mem == pytest.approx(wanted.tau_mem, rel=1e-4)


SOFT = {"reset_mechanism": "subtract"}
# How to make the model for a threshold and a start; how much of its input reaches the membrane; a late reset.
MODELS: dict[str, tuple[Any, float, bool]] = {
    "Leaky": (lambda **k: layers.Leaky(0.9, **k), 1.0, True),
    "Leaky, reset at once": (lambda **k: layers.Leaky(0.9, reset_delay=False, **k), 1.0, False),
    "Lapicque": (lambda **k: layers.Lapicque(R=5.0, C=2.0, **k), 0.5, True),
    "Lapicque, exact": (
        lambda **k: layers.Lapicque(R=5.0, C=2.0, integration="exponential", **k),
        5 * (1 - math.exp(-0.1)),
        True,
    ),
    "TextbookLIF": (
        lambda threshold, v_init: layers.TextbookLIF(10.0, threshold, R=3.0, v_init=v_init, **SOFT),
        0.3,
        False,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_code_sends_the_spikes_of_the_model_itself(name: str) -> None:
    """The network's neurons beside the model with the same constants, on currents that vary."""
    make, gain, late = MODELS[name]
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        options = stand_in(make(threshold=1.0, v_init=0.0))
        alpha = math.exp(-1 / options.tau_mem)
        theta, start = 0.7, 0.3
        neurons = SpikingReLU(Node("relu", "", (), shape=(None, 8)), options, 1).double()
        neurons.threshold, neurons.start = torch.full((8,), theta), torch.full((8,), start)
        currents = torch.randn(300, 1, 8) * 0.5 + 0.2
        spikes, _ = neurons.run(currents)
        # In the model's own constants: a late reset of θ is one in time of θ/β, d further up.
        own = alpha * theta if late else theta
        shift = own * (1 / alpha - 1) if late else 0.0
        compensation = float(equations.leak_compensation(torch.tensor(alpha), torch.tensor(theta)))
        model = make(threshold=own, v_init=theta * start - shift)
        given = (currents + compensation - (1 - alpha) * shift) / gain
        expected = model(given.transpose(0, 1)).transpose(0, 1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert 0.1 < expected.mean() < 0.9
    assert torch.equal(spikes, expected.detach())


REFUSED: dict[str, tuple[SpikingLayer, str]] = {
    "unlimited": (layers.IAF(), "any number of spikes .*SingleSpike"),
    "floor": (layers.ConstantLeakIAF(0.2, spike_fn=SingleSpike), "floor forgets .* min_v_mem=None"),
    "hard": (layers.LIF(9.0, spike_fn=SingleSpike, reset_fn=MembraneReset()), "in stairs; give reset_fn"),
    "no reset": (layers.LIF(9.0, spike_fn=SingleSpike, reset_fn=NoReset()), "fires in every step"),
    "synapse": (layers.LIF(9.0, 3.0, spike_fn=SingleSpike), "hands a current on"),
    "recurrent": (layers.LIFRecurrent(9.0, rec_connect=nn.Linear(3, 3), spike_fn=SingleSpike), "feed back"),
    "adaptive": (layers.ALIF(9.0, 30.0), "threshold rises"),
    "integrator": (layers.ExpLeak(9.0), "does not fire"),
    "Leaky, to zero": (layers.Leaky(0.9, reset_mechanism="zero"), "in stairs; give reset_mechanism='subtract'"),
    "Leaky, inhibition": (layers.Leaky(0.9, inhibition=True), "inhibit"),
    "Leaky, nothing left": (layers.Leaky(0.0), "keeps nothing"),
    "Leaky, quantised": (layers.Leaky(0.9, state_quant=torch.round), "state_quant"),
    "Leaky, one each": (layers.Leaky(torch.tensor([0.9, 0.8])), "one time constant for all"),
    "RLeaky": (layers.RLeaky(0.9, all_to_all=False), "feed back"),
    "Synaptic": (layers.Synaptic(0.9, 0.8), "hands a current on"),
    "Alpha": (layers.Alpha(0.9, 0.8), "hands a current on"),
    "SRM0": (layers.SRM0(0.9, 0.8), "hands a current on"),
    "TextbookLIF": (layers.TextbookLIF(), "in stairs"),
    "refractory": (layers.TextbookLIF(t_ref=2.0, reset_mechanism="subtract"), "refractory .* t_ref=0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_stand_in_is_refused_with_the_reason(name: str) -> None:
    layer, reason = REFUSED[name]
    with pytest.raises(respike.ConversionError, match=f"{type(layer).__name__}.*{reason}"):
        stand_in(layer)


def test_conversion_takes_a_layer_for_neuron() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 4)), torch.rand(64, 6)
    shown = respike.from_torch(model, x, 8, neuron=layers.Leaky(BETA))
    named = respike.from_torch(model, x, 8, neuron=respike.LIF(20.0))
    torch.testing.assert_close(shown(x), named(x))
    with pytest.raises(respike.ConversionError, match="has its own max_spikes; set it on the layer"):
        respike.from_torch(model, x, 8, neuron=layers.Leaky(0.9), max_spikes=2)
