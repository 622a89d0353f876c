"""``closed_form`` is either None or what ``transfer_curve`` measures."""

import pytest
import torch
from torch import nn

from respike.layers import (
    IAF,
    LIF,
    ExpLeak,
    IAFRecurrent,
    LIFRecurrent,
    MaxSpike,
    MembraneReset,
    MembraneSubtract,
    MultiSpike,
    SingleSpike,
    closed_form,
    transfer_curve,
)

SPIKE_FNS = [SingleSpike, MultiSpike, MaxSpike(2), MaxSpike(None)]
HARD = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}


def away_from(jumps, low, high):
    """1,000 currents, less those within 1e-6 of a jump of the rate."""
    currents = torch.linspace(low, high, 1000, dtype=torch.float64)
    return currents[(currents[:, None] - jumps).abs().amin(1) > 1e-6]


@pytest.mark.parametrize("spike_fn", SPIKE_FNS, ids=str)
@pytest.mark.parametrize("timesteps", [1, 7, 100])
@pytest.mark.parametrize(("theta", "v_init"), [(1.0, 0.5), (0.75, 0.0), (2.0, 1.9375)])
def test_soft_reset_iaf_is_exact_in_float32(spike_fn, timesteps, theta, v_init):
    neuron = IAF(theta, spike_fn=spike_fn, v_init=v_init)
    currents = torch.arange(-1000, 4000, 5) / 1024
    assert torch.equal(closed_form(neuron, currents, timesteps), transfer_curve(neuron, currents, timesteps))


@pytest.mark.parametrize("spike_fn", SPIKE_FNS, ids=str)
@pytest.mark.parametrize("theta", [0.3, 0.7, 1.9])
def test_soft_reset_iaf_with_any_threshold(spike_fn, theta):
    timesteps, neuron = 37, IAF(theta, spike_fn=spike_fn, v_init=theta / 3).double()
    most = 3 * timesteps + 1
    jumps = (torch.arange(most + 1) * neuron.spike_threshold - neuron.v_init) / timesteps
    currents = away_from(jumps, -theta, 3 * theta)
    assert torch.equal(closed_form(neuron, currents, timesteps), transfer_curve(neuron, currents, timesteps))


@pytest.mark.parametrize("tau", [1.5, 5.0, 20.0, 100.0])
@pytest.mark.parametrize("theta", [0.5, 3.0])
@pytest.mark.parametrize("reset", [0.0, 0.25, -0.5])
@pytest.mark.parametrize("norm_input", [True, False])
def test_hard_reset_lif(tau, theta, reset, norm_input):
    timesteps = 60
    neuron = LIF(
        tau,
        spike_threshold=theta,
        spike_fn=SingleSpike,
        reset_fn=MembraneReset(reset),
        norm_input=norm_input,
        v_init=reset,
    ).double()
    alpha = neuron.alpha_mem_calculated.detach()
    power = alpha ** torch.arange(1, timesteps + 1)
    jumps = (theta - reset * power) / (1 - power) * (1 if norm_input else 1 - alpha)  # v_k = θ
    currents = away_from(jumps, -theta, 12 * theta if norm_input else 2 * theta)
    form = closed_form(neuron, currents, timesteps)
    assert len(form.unique()) > 2
    assert torch.equal(form, transfer_curve(neuron, currents, timesteps))


def test_a_current_beyond_all_measure_fires_in_every_step():
    neuron, currents = LIF(5.0, **HARD), torch.tensor([1e3, 1e9, 1e20])
    assert closed_form(neuron, currents, 8).tolist() == [1.0, 1.0, 1.0]
    assert transfer_curve(neuron, currents, 8).tolist() == [1.0, 1.0, 1.0]


def test_one_column_per_threshold():
    theta, currents = torch.tensor([0.5, 1.0, 2.0]), torch.arange(-16, 64) / 32
    for neuron in (IAF(theta, spike_fn=SingleSpike, v_init=theta / 2), LIF(7.0, spike_threshold=theta, **HARD)):
        form = closed_form(neuron, currents, 16)
        assert form.shape == (80, 3)
        assert torch.equal(form, transfer_curve(neuron, currents, 16))


@pytest.mark.parametrize(
    "neuron",
    [
        IAF(spike_fn=SingleSpike, reset_fn=MembraneReset()),
        IAF(reset_fn=MembraneSubtract(0.5)),
        IAF(tau_syn=3.0),
        IAF(min_v_mem=-1.0),
        IAF(v_init=1.0),
        LIF(5.0),
        LIF(5.0, spike_fn=SingleSpike),
        LIF(5.0, spike_fn=SingleSpike, leak_compensation=True),
        LIF(5.0, reset_fn=MembraneReset()),
        LIF(5.0, v_init=0.25, **HARD),
        LIF(5.0, tau_syn=3.0, **HARD),
        LIF(5.0, min_v_mem=0.0, **HARD),
        LIF(5.0, leak_compensation=True, **HARD),
        ExpLeak(5.0),
    ],
    ids=repr,
)
def test_there_is_none_where_none_is_known(neuron):
    assert closed_form(neuron, torch.linspace(-1, 2, 7), 8) is None


def inhibited(layer, *args, **kwargs):
    connection = nn.Linear(1, 1, bias=False)
    nn.init.constant_(connection.weight, -0.5)
    return layer(*args, rec_connect=connection, spike_fn=SingleSpike, **kwargs)


@pytest.mark.parametrize(
    "neuron",
    [
        IAF(spike_fn=SingleSpike, v_init=-0.5),
        IAF(spike_fn=MaxSpike(2), v_init=-0.5),
        IAF(spike_fn=MultiSpike, v_init=-0.5),
        inhibited(IAFRecurrent),
        inhibited(LIFRecurrent, 5.0, reset_fn=MembraneReset()),
        LIF(float("inf"), norm_input=False, **HARD),
        LIF(5.0, train_alphas=True, **HARD),
    ],
    ids=[
        "single below zero",
        "two below zero",
        "multi below zero",
        "iaf fed back",
        "lif fed back",
        "no leak",
        "alphas",
    ],
)
def test_awkward_neurons_have_none_or_the_true_one(neuron):
    currents = torch.arange(-8, 40) / 16 + 1 / 128
    form = closed_form(neuron, currents, 9)
    assert form is None or torch.equal(form, transfer_curve(neuron, currents, 9))
