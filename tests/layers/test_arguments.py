"""Bad arguments are named before they do harm."""

import re

import pytest
import torch
from torch import nn

from respike.layers import IAF, LIF, ExpLeak, IAFRecurrent, IAFSqueeze, LIFRecurrent, LIFSqueeze, MaxSpike

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
