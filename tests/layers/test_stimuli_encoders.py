"""Stimuli and encoders: what they hold, how they are seeded, what they refuse."""

import re

import pytest
import torch

from respike.layers import IAF, encoders
from respike.layers.curves import stimuli


def test_step():
    assert stimuli.step(5, 2.0, 1, 4).tolist() == [[[0.0], [2.0], [2.0], [2.0], [0.0]]]
    assert stimuli.step(3).flatten().tolist() == [1.0, 1.0, 1.0]
    per_neuron = stimuli.step(4, torch.tensor([[0.5, -1.0]]), 2)
    assert per_neuron.shape == (1, 4, 1, 2)
    assert per_neuron[0, :, 0].tolist() == [[0.0, 0.0], [0.0, 0.0], [0.5, -1.0], [0.5, -1.0]]


def test_pulse():
    assert stimuli.pulse(6, 3.0, 2).flatten().tolist() == [0, 0, 3, 0, 0, 0]
    assert stimuli.pulse(7, 1.0, 1, 2, 3).flatten().tolist() == [0, 1, 1, 0, 1, 1, 0]
    assert stimuli.pulse(5, 1.0, 3, 4).flatten().tolist() == [0, 0, 0, 1, 1]


def test_spike_train():
    assert stimuli.spike_train(5, [0, 3, 3], 0.5).flatten().tolist() == [0.5, 0, 0, 1.0, 0]
    assert stimuli.spike_train(3, []).flatten().tolist() == [0, 0, 0]


def test_constant():
    data = torch.rand(2, 3)
    assert torch.equal(encoders.constant(data, 4), torch.stack([data] * 4, 1))


def test_rates_are_probabilities():
    data = torch.tensor([[-0.5, 0.0, 0.2, 0.7, 1.0, 1.5]])
    spikes = encoders.rate(data, 4000)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert (spikes.mean(1) - data.clamp(0, 1)).abs().max() < 0.03  # four standard deviations
    assert (encoders.rate(data, 4000, gain=0.5, offset=0.1).mean(1) - (data / 2 + 0.1).clamp(0, 1)).abs().max() < 0.03


def test_poisson_counts_have_the_mean_and_variance_of_their_rate():
    rates = torch.tensor([[0.0, 0.3, 2.5]])
    counts = encoders.poisson(rates, 4000)
    assert torch.equal(counts, counts.round())
    assert (counts.mean(1) - rates).abs().max() < 0.1
    assert (counts.var(1) - rates).abs().max() < 0.3


def test_time_varying_rates_and_a_silent_start():
    data = torch.tensor([[[0.0], [1.0], [0.0]]])
    assert encoders.rate(data, time_var_input=True, first_spike_time=2).flatten().tolist() == [0, 0, 0, 1, 0]
    assert encoders.rate(torch.ones(1, 1), 4, first_spike_time=3).flatten().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("encoder", [encoders.rate, encoders.poisson])
def test_the_seed_decides(encoder):
    data = torch.full((2, 5), 0.5)
    before = torch.random.get_rng_state()
    first = encoder(data, 20, seed=3)
    assert torch.equal(first, encoder(data, 20, seed=3))
    assert torch.equal(first, encoder(data, 20, seed=torch.Generator().manual_seed(3)))
    assert not torch.equal(first, encoder(data, 20, seed=4))
    going_on = torch.Generator().manual_seed(3)
    assert torch.equal(first, encoder(data, 20, seed=going_on))
    assert not torch.equal(first, encoder(data, 20, seed=going_on))
    assert torch.equal(before, torch.random.get_rng_state())


def test_latency_is_when_the_rc_circuit_passes_the_threshold():
    """x·(1 − exp(−t/τ)) = θ."""
    data, tau, theta = torch.linspace(0.25, 1.0, 50)[None], 20.0, 0.2
    times = encoders.latency(data, 60, theta, tau).argmax(1)
    assert (encoders.latency(data, 60, theta, tau).sum(1) == 1).all()
    reached = [data * (1 - torch.exp(-(times + shift) / tau)) for shift in (-0.5, 0.5)]
    assert (reached[0] <= theta + 1e-6).all() and (reached[1] >= theta - 1e-6).all()


def test_delta_sees_changes_since_the_step_before():
    data = torch.tensor([[[0.5], [0.5], [0.75], [0.25]]])
    assert encoders.delta(data, 0.25).flatten().tolist() == [1, 0, 1, 0]
    assert encoders.delta(data, 0.25, padding=True, off_spike=True).flatten().tolist() == [0, 0, 1, -1]


def test_error_diffusion_sends_what_an_iaf_neuron_sends():
    """Where it can: values from 0 to 1, which it needs one spike a step for; sums are exact in 1/64ths."""
    data = torch.arange(0, 65)[None] / 64
    spikes = encoders.error_diffusion(data, 40)
    assert torch.equal(spikes, IAF(v_init=0.5)(encoders.constant(data, 40)))
    wide = torch.linspace(-3, 3, 61)[None]
    clock = torch.arange(1, 1001).reshape(1, -1, 1)
    off = encoders.error_diffusion(wide, 1000, start=0.25).cumsum(1) - clock * wide
    assert off.min() > -0.7501 and off.max() < 0.2501


def test_whole_numbers_are_data_too():
    data = torch.tensor([[0, 1]])
    assert encoders.rate(data, 3)[0].tolist() == [[0, 1]] * 3
    assert encoders.latency(data, 3, 0.5, linear=True).dtype == torch.float32


ONE = torch.ones(1, 1)
REFUSED = [
    (lambda: stimuli.step(0), "num_steps must be a whole number, 1 or more, got 0"),
    (lambda: stimuli.step(5, start=3, stop=2), "start and stop must be in order within 0 and num_steps=5, got 3 and 2"),
    (lambda: stimuli.step(5, stop=6), "got 0 and 6"),
    (lambda: stimuli.pulse(5, start=5), "start must be one of the 5 timesteps, counted from 0, got 5"),
    (lambda: stimuli.pulse(5, width=0), "width must be 1 or more"),
    (lambda: stimuli.pulse(5, width=3, period=2), "period at least as long, got 3 and 2"),
    (lambda: stimuli.spike_train(5, [1, 5]), "times must be timesteps from 0 to 4, got 5"),
    (lambda: stimuli.spike_train(0, []), "num_steps must be a whole number, 1 or more, got 0"),
    (lambda: encoders.constant(torch.tensor(1.0), 3), "data must be (batch, ...), got a single number"),
    (lambda: encoders.constant(ONE, 0), "num_steps must be a whole number, 1 or more, got 0"),
    (lambda: encoders.rate(ONE * float("nan"), 3), "data must be finite"),
    (lambda: encoders.rate(ONE), "give num_steps for data without a time axis"),
    (lambda: encoders.rate(ONE, 3, time_var_input=True), "give num_steps for data without a time axis"),
    (lambda: encoders.rate(torch.ones(3), time_var_input=True), "data must be (batch, time, ...)"),
    (lambda: encoders.rate(ONE, 3, first_spike_time=3), "first_spike_time must be a timestep from 0 on, got 3 of 3"),
    (lambda: encoders.poisson(-ONE, 3), "data must be rates, finite and not negative"),
    (lambda: encoders.latency(2 * ONE, 3), "data must be in [0, 1]; scale it first"),
    (lambda: encoders.latency(ONE, 3, 0.0), "threshold must be above 0 and below 1, got 0.0"),
    (lambda: encoders.latency(ONE, 3, tau=0.0), "tau must be positive, got 0.0"),
    (lambda: encoders.latency(ONE, 3, first_spike_time=-1), "first_spike_time must be one of the 3 timesteps, got -1"),
    (lambda: encoders.latency(0 * ONE, 3), "the last spike would come at step 12, but num_steps is 3"),
    (lambda: encoders.error_diffusion(ONE / 0, 3), "data must be finite"),
    (lambda: encoders.error_diffusion(ONE, 3, 1.0), "start must be from 0 to below 1, got 1.0"),
    (lambda: encoders.delta(torch.ones(3)), "data must be (batch, time, ...), got shape (3,)"),
    (lambda: encoders.delta(torch.ones(1, 3), 0.0), "threshold must be positive, got 0.0"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
