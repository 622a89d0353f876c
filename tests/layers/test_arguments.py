"""Constants that no neuron can have are named before they do harm."""

import re

import pytest
import torch
from torch import nn

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    ConstantLeakIAF,
    ExpLeak,
    IAFRecurrent,
    IAFSqueeze,
    Leaky,
    LIFRecurrent,
    LIFSqueeze,
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


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda value: IAF(v_init=value), "v_init"),
        (lambda value: LIF(5.0, min_v_mem=value), "min_v_mem"),  # no bound at all is None
        (lambda value: ALIF(5.0, 9.0, adapt_scale=torch.tensor([1.0, value])), "adapt_scale"),
        (lambda value: ConstantLeakIAF(value), "v_leak"),
        (lambda value: TextbookLIF(v_rest=value, v_init=0.0), "v_rest"),
        (lambda value: TextbookLIF(t_ref=value), "t_ref"),
    ],
    ids=["v_init", "min_v_mem", "adapt_scale", "v_leak", "v_rest", "t_ref"],
)
def test_constants_are_finite(build, name, value):
    with pytest.raises(ValueError, match=f"{name} must be finite, got "):
        build(value)


def test_a_threshold_is_finite():
    with pytest.raises(ValueError, match=r"spike_threshold must be finite, got 1\.\.inf"):
        IAF(torch.tensor([1.0, float("inf")]))  # no spikes times an infinite θ would be taken off: NaN
