"""Bad arguments are named before they do harm."""

import re

import pytest
import torch
from torch import nn

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    ATan,
    ExpLeak,
    IAFRecurrent,
    IAFSqueeze,
    Leaky,
    LIFRecurrent,
    LIFSqueeze,
    MaxSpike,
    MembraneReset,
    TextbookLIF,
)

BAD = [(0.0, "0"), (-1.5, r"-1\.5"), (float("nan"), "nan"), (torch.tensor([1.0, 0.0]), r"0\.\.1")]
bad_value = pytest.mark.parametrize(("value", "shown"), BAD, ids=str)


@bad_value
@pytest.mark.parametrize(
    "build",
    [
        lambda value: IAF(value),
        lambda value: LIF(5.0, spike_threshold=value),
        lambda value: IAFSqueeze(batch_size=1, spike_threshold=value),
        lambda value: IAFRecurrent(nn.Identity(), spike_threshold=value),
    ],
    ids=["IAF", "LIF", "IAFSqueeze", "IAFRecurrent"],
)
def test_thresholds_must_be_positive(build, value, shown):
    with pytest.raises(ValueError, match=f"spike_threshold must be positive, got {shown}"):
        build(value)


@bad_value
@pytest.mark.parametrize("train_alphas", [True, False])
@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda tau, **kwargs: LIF(tau, **kwargs), "tau_mem"),
        (lambda tau, **kwargs: LIF(5.0, tau, **kwargs), "tau_syn"),
        (lambda tau, **kwargs: ExpLeak(tau, **kwargs), "tau_mem"),
        (lambda tau, **kwargs: LIFSqueeze(batch_size=1, tau_mem=tau, **kwargs), "tau_mem"),
        (lambda tau, **kwargs: LIFRecurrent(tau, nn.Identity(), **kwargs), "tau_mem"),
    ],
    ids=["LIF", "synapse", "ExpLeak", "LIFSqueeze", "LIFRecurrent"],
)
def test_time_constants_must_be_positive(build, name, train_alphas, value, shown):
    with pytest.raises(ValueError, match=f"{name} must be positive, got {shown}"):
        build(value, train_alphas=train_alphas)


@bad_value
def test_the_synapse_of_an_iaf_neuron_needs_a_positive_time_constant(value, shown):
    with pytest.raises(ValueError, match=f"tau_syn must be positive, got {shown}"):
        IAF(tau_syn=value)


@pytest.mark.parametrize("layer", [IAF(), LIF(5.0), ExpLeak(5.0), IAFRecurrent(nn.Identity())], ids=repr)
@pytest.mark.parametrize("shape", [(), (7,)])
def test_an_input_needs_a_time_axis(layer, shape):
    message = f"{type(layer).__name__} takes (batch, time, ...), got shape {shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(torch.ones(shape))


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


@pytest.mark.parametrize("value", ["1", None, [1.0, "2"]], ids=str)
@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda value: IAF(value), "spike_threshold"),
        (lambda value: LIF(value), "tau_mem"),
        (lambda value: IAF(v_init=value), "v_init"),
        (lambda value: ALIF(5.0, 9.0, adapt_scale=value), "adapt_scale"),
        (lambda value: Leaky(value), "beta"),
        (lambda value: TextbookLIF(R=value), "R"),
    ],
    ids=["IAF", "LIF", "v_init", "ALIF", "Leaky", "TextbookLIF"],
)
def test_a_constant_must_be_a_number(build, name, value):
    with pytest.raises(TypeError, match=f"{name} must be a number or a tensor, got {re.escape(repr(value))}"):
        build(value)


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


CONSTANTS = [
    (lambda: LIF(torch.ones(4)), "LIF: tau_mem of shape (4,)"),
    (lambda: IAF(torch.ones(2, 1)), "IAF: spike_threshold of shape (2, 1)"),  # it would be one for each sample
    (lambda: IAF(v_init=torch.ones(1, 1, 3)), "IAF: v_init of shape (1, 1, 3)"),
    (lambda: Leaky(torch.tensor([0.5, 0.9])), "Leaky: beta of shape (2,)"),
]


@pytest.mark.parametrize(("build", "message"), CONSTANTS, ids=[message for _, message in CONSTANTS])
def test_constants_must_fit_the_neurons(build, message):
    with pytest.raises(ValueError, match=re.escape(f"{message} does not fit neurons of shape (3,); give a number")):
        build()(torch.ones(2, 5, 3))


@pytest.mark.parametrize("threshold", [torch.ones(3), torch.ones(1), torch.ones(1, 3), torch.ones(1, 1)], ids=str)
def test_constants_that_broadcast_to_the_neurons_are_taken(threshold):
    x = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(IAF(threshold)(x), IAF()(x))


@pytest.mark.parametrize("value", [[[1.0, 2.0]], torch.zeros(2, 3, dtype=torch.complex64)], ids=["list", "complex"])
def test_an_input_is_a_tensor_of_real_numbers(value):
    with pytest.raises(TypeError, match=r"IAF takes a tensor of real numbers \(batch, time, ...\), got"):
        IAF()(value)
