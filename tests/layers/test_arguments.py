"""Bad arguments are named before they do harm."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    ATan,
    ConstantLeakIAF,
    ExpLeak,
    Gaussian,
    IAFRecurrent,
    IAFSqueeze,
    Leaky,
    LIFRecurrent,
    LIFSqueeze,
    MaxSpike,
    MembraneReset,
    MultiGaussian,
    PeriodicExponential,
    SingleExponential,
    TextbookLIF,
    encoders,
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
