"""Shapes, sizes and inputs that do not fit are named before they do harm."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from respike.layers import (
    IAF,
    LIF,
    ExpLeak,
    IAFRecurrent,
    IAFSqueeze,
    Leaky,
    LIFSqueeze,
    MaxSpike,
    encoders,
)


@pytest.mark.parametrize("layer", [IAF(), LIF(5.0), ExpLeak(5.0), IAFRecurrent(nn.Identity())], ids=repr)
@pytest.mark.parametrize("shape", [(), (7,)])
def test_an_input_needs_a_time_axis(layer, shape):
    message = f"{type(layer).__name__} takes (batch, time, ...), got shape {shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(torch.ones(shape))


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


SIZES = [
    (lambda: IAF(shape=3), r"shape must be \(batch, ...\), got 3"),
    (lambda: IAF(shape=()), r"shape must be \(batch, ...\), got \(\)"),
    (lambda: IAF(shape=(2, -1)), "each size of shape must be a whole number, 0 or more, got -1"),
    (lambda: Leaky(0.5, shape=(2, 2.5)), "each size of shape must be a whole number, 0 or more, got 2.5"),
    (lambda: IAFSqueeze(batch_size=2.5), "batch_size must be a whole number, 1 or more, got 2.5"),
    (lambda: LIFSqueeze(num_timesteps="2", tau_mem=5.0), "num_timesteps must be a whole number, 1 or more, got '2'"),
    (lambda: MaxSpike(-1), "max_num_spikes_per_bin must be a whole number, 0 or more, got -1"),
    (lambda: MaxSpike(1.5), "max_num_spikes_per_bin must be a whole number, 0 or more, got 1.5"),
    (lambda: encoders.rate(torch.ones(2, 3), 1.5), "num_steps must be a whole number, 1 or more, got 1.5"),
    (lambda: encoders.latency(torch.ones(2, 3), 0), "num_steps must be a whole number, 1 or more, got 0"),
]


@pytest.mark.parametrize(("build", "message"), SIZES, ids=[message for _, message in SIZES])
def test_sizes_are_whole_numbers(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_numpys_whole_numbers_count_too():
    layer = IAFSqueeze(batch_size=np.int64(2), spike_fn=MaxSpike(np.int32(1)), shape=(np.int64(2), 3))
    assert layer(torch.ones(4, 3)).shape == (4, 3)
    assert encoders.rate(torch.ones(2, 3), np.int64(4)).shape == (2, 4, 3)


@pytest.mark.parametrize("value", [3, ("a", "b"), (0.0, float("nan")), (1.0,)], ids=str)
def test_a_range_of_random_states_is_two_numbers(value):
    layer = IAF(shape=(2, 3))
    with pytest.raises(ValueError, match=r"value_ranges\['v_mem'\] must be \(low, high\), two finite numbers, got"):
        layer.reset_states(randomize=True, value_ranges={"v_mem": value})
    layer.reset_states(randomize=True, value_ranges={"i_syn": value})  # of layers with a synapse


@pytest.mark.parametrize("value", [[1.0], torch.tensor(1.0)], ids=["list", "number"])
def test_a_squeeze_form_needs_rows(value):
    with pytest.raises(ValueError, match=r"IAFSqueeze takes a tensor \(batch \* time, ...\), got"):
        IAFSqueeze(batch_size=2)(value)
