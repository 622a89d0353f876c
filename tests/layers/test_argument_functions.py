"""Spike, reset and surrogate functions, and connections: what is none is refused when the layer is made."""

import re

import pytest
import torch
from torch import nn

from respike.layers import (
    IAF,
    LIF,
    ATan,
    ExpLeak,
    Gaussian,
    IAFRecurrent,
    Leaky,
    MaxSpike,
    MembraneReset,
    MultiGaussian,
    PeriodicExponential,
    SingleExponential,
    TextbookLIF,
)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (IAF(0.5), "IAF(spike_threshold=0.5, spike_fn=MultiSpike)"),
        (IAF(torch.tensor([0.5, 2.0]), MaxSpike(3)), "spike_threshold=0.5..2, spike_fn=MaxSpike("),
        (LIF(5.0, 2.5, min_v_mem=-1.0), "LIF(tau_mem=5, tau_syn=2.5, spike_threshold=1, min_v_mem=-1, spike_fn="),
        (LIF(1e9, train_alphas=True), "LIF(alpha_mem=1, spike_threshold=1"),
        (ExpLeak(2.5), "ExpLeak(tau_mem=2.5)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_prints_its_constants(layer, text):
    assert text in repr(layer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spike_fn": MaxSpike}, "spike_fn must be an instance of MaxSpike, say MaxSpike(); got the class"),
        ({"spike_fn": torch.floor}, "spike_fn must be SingleSpike, MultiSpike or MaxSpike(n), or have their apply()"),
        ({"reset_fn": MembraneReset}, "reset_fn must be an instance, MembraneReset(), got the class"),
        ({"reset_fn": None}, "reset_fn must be MembraneSubtract(), MembraneReset() or NoReset(), or a function of"),
        ({"surrogate_grad_fn": ATan}, "surrogate_grad_fn must be an instance, ATan(), got the class"),
        ({"spike_threshold": None}, "spike_threshold must be a number or a tensor, got None"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_fire_is_refused_when_the_layer_is_made(arguments, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        LIF(5.0, **arguments)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Leaky(0.5, spike_grad=ATan), r"spike_grad must be an instance, ATan\(\), got the class"),
        (lambda: Leaky(0.5, spike_grad=None), "spike_grad must be a surrogate"),
        (lambda: TextbookLIF(surrogate_grad_fn=ATan), "surrogate_grad_fn must be an instance"),
        (lambda: Leaky(0.5, state_quant=3), "state_quant must be a function of a state, got 3"),
        (lambda: IAFRecurrent(None), r"rec_connect must be a module, say nn.Linear\(n, n\), got None"),
    ],
    ids=["class", "None", "TextbookLIF", "state_quant", "rec_connect"],
)
def test_functions_are_functions(build, message):
    with pytest.raises(TypeError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: Gaussian(sigma=0.0), "sigma"),
        (lambda: MultiGaussian(s=-1.0), "s"),
        (lambda: SingleExponential(0.0), "grad_width"),
        (lambda: PeriodicExponential(float("nan")), "grad_width"),
    ],
    ids=["Gaussian", "MultiGaussian", "SingleExponential", "PeriodicExponential"],
)
def test_a_surrogate_has_a_width(build, name):
    with pytest.raises(ValueError, match=f"^{name} must be positive, got"):
        build()


@pytest.mark.parametrize(
    ("connection", "found"), [(nn.Linear(3, 4), r"\(2, 4\)"), (nn.LSTM(3, 3), "tuple")], ids=["Linear", "LSTM"]
)
def test_a_connection_gives_one_current_for_each_neuron(connection, found):
    with pytest.raises(
        ValueError, match=rf"rec_connect must give one current for each of \(2, 3\) spikes, got {found}"
    ):
        IAFRecurrent(connection)(torch.ones(2, 5, 3))


def test_a_connection_may_be_a_plain_function():
    x = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(IAFRecurrent(lambda spikes: -spikes)(x), IAFRecurrent(_Minus())(x))


class _Minus(nn.Module):
    def forward(self, spikes):
        return -spikes
