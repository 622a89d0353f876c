"""Layers against the neuron's recurrence, written out for one float at a time."""

import math

import numpy as np
import pytest
import torch

from respike.layers import IAF, LIF, ExpLeak, MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike

THETA, V_INIT = 0.5, 0.25
SPIKE_FNS = {
    SingleSpike: lambda v, theta: int(v >= theta),
    MultiSpike: lambda v, theta: max(math.floor(v / theta), 0),
    MaxSpike(2): lambda v, theta: min(max(math.floor(v / theta), 0), 2),
}
RESETS = {
    MembraneSubtract(): lambda v, spikes, theta: v - spikes * theta,
    MembraneSubtract(0.375): lambda v, spikes, theta: v - spikes * 0.375,
    MembraneReset(0.125): lambda v, spikes, theta: 0.125 if spikes else v,
}


def random_currents(*shape, seed=0, mean=1.0, std=3.0):
    return np.random.default_rng(seed).normal(mean, std, shape)


def trace(currents, count, reset, *, theta=THETA, tau=None, tau_syn=None, norm=False, low=None, extra=0.0):
    """Spikes, potentials and synaptic currents of one neuron."""
    alpha = 1.0 if tau is None else math.exp(-1 / tau)
    v, i, rows = V_INIT, 0.0, []
    for current in currents:
        if tau_syn is not None:
            i = current = math.exp(-1 / tau_syn) * (i + current)
        v = alpha * v + (1 - alpha if norm else 1.0) * current + extra
        spikes = count(v, theta)
        v = reset(v, spikes, theta)
        if low is not None and v < low:
            v = low
        rows.append((spikes, v, i))
    return np.array(rows).T


def assert_follows(layer, currents, neuron):
    """The layer's spikes are those of ``neuron(row, column)``, its states so to the last few bits."""
    layer = layer.double()
    layer.record_states = True
    spikes = layer(torch.from_numpy(currents)).detach().numpy()
    states = {name: value.detach().numpy() for name, value in layer.recordings.items()}
    assert 0 < np.count_nonzero(spikes) < spikes.size
    for row, column in np.ndindex(currents.shape[0], currents.shape[2]):
        expected = neuron(currents[row, :, column], column)
        assert np.array_equal(spikes[row, :, column], expected[0])
        for name, values in zip(("v_mem", "i_syn"), expected[1:], strict=True):
            if name in states:
                np.testing.assert_allclose(states[name][row, :, column], values, rtol=0, atol=1e-13)


@pytest.mark.parametrize("spike_fn", SPIKE_FNS, ids=str)
@pytest.mark.parametrize("reset_fn", RESETS, ids=str)
@pytest.mark.parametrize("tau_syn", [None, 3.0])
@pytest.mark.parametrize("norm_input", [True, False])
@pytest.mark.parametrize("min_v_mem", [None, -0.75])
@pytest.mark.parametrize("leak_compensation", [True, False])
def test_lif_follows_its_recurrence(spike_fn, reset_fn, tau_syn, norm_input, min_v_mem, leak_compensation):
    layer = LIF(
        tau_mem=5.0,
        tau_syn=tau_syn,
        spike_threshold=THETA,
        spike_fn=spike_fn,
        reset_fn=reset_fn,
        min_v_mem=min_v_mem,
        norm_input=norm_input,
        v_init=V_INIT,
        leak_compensation=leak_compensation,
    )
    settings = {"tau": 5.0, "tau_syn": tau_syn, "norm": norm_input, "low": min_v_mem}
    settings["extra"] = (1 - math.exp(-1 / 5.0)) * THETA / 2 if leak_compensation else 0.0
    count, reset = SPIKE_FNS[spike_fn], RESETS[reset_fn]
    assert_follows(layer, random_currents(2, 25, 3), lambda row, _: trace(row, count, reset, **settings))


@pytest.mark.parametrize("spike_fn", SPIKE_FNS, ids=str)
@pytest.mark.parametrize("reset_fn", RESETS, ids=str)
@pytest.mark.parametrize("tau_syn", [None, 3.0])
@pytest.mark.parametrize("min_v_mem", [None, -0.75])
def test_iaf_follows_its_recurrence(spike_fn, reset_fn, tau_syn, min_v_mem):
    layer = IAF(THETA, spike_fn, reset_fn, tau_syn=tau_syn, min_v_mem=min_v_mem, v_init=V_INIT)
    count, reset = SPIKE_FNS[spike_fn], RESETS[reset_fn]
    settings = {"tau_syn": tau_syn, "low": min_v_mem}
    assert_follows(layer, random_currents(2, 25, 3), lambda row, _: trace(row, count, reset, **settings))


def test_every_channel_has_its_own_threshold_and_time_constants():
    theta, tau, tau_syn = [0.5, 1.0, 2.25], [2.0, 5.0, 40.0], [1.5, 3.0, 6.0]
    layer = LIF(torch.tensor(tau), torch.tensor(tau_syn), torch.tensor(theta), SingleSpike, v_init=V_INIT)
    count, reset = SPIKE_FNS[SingleSpike], RESETS[MembraneSubtract()]
    assert_follows(
        layer,
        random_currents(2, 40, 3, mean=4),
        lambda row, c: trace(row, count, reset, theta=theta[c], tau=tau[c], tau_syn=tau_syn[c], norm=True),
    )


@pytest.mark.parametrize("norm_input", [True, False])
def test_the_impulse_response_of_a_leaky_integrator_is_exponential(norm_input):
    tau = torch.tensor([1.0, 2.5, 20.0], dtype=torch.float64)
    impulse = torch.zeros(1, 50, 3, dtype=torch.float64)
    impulse[:, 0] = 1
    response = ExpLeak(tau, norm_input=norm_input).double()(impulse)[0]
    height = 1 - torch.exp(-1 / tau) if norm_input else 1.0
    expected = height * torch.exp(-torch.arange(50, dtype=torch.float64)[:, None] / tau)
    torch.testing.assert_close(response, expected, rtol=1e-13, atol=0)


def test_a_leaky_integrator_with_a_lower_bound_puts_out_the_potential_before_the_bound():
    layer = ExpLeak(2.0, min_v_mem=-0.5, record_states=True).double()  # the order of Sinabs
    output = layer(torch.tensor([[-1.0, 0.0, 0.25]], dtype=torch.float64))
    alpha = math.exp(-0.5)
    potential = [-0.5, -0.5 * alpha, -0.5 * alpha**2 + 0.25]
    assert output[0].tolist() == pytest.approx([-1.0, *potential[1:]], rel=1e-14)
    assert layer.recordings["v_mem"][0].tolist() == pytest.approx(potential, rel=1e-14)


@pytest.mark.parametrize("spike_fn", [SingleSpike, MultiSpike, MaxSpike(3)], ids=str)
def test_soft_reset_conserves_charge(spike_fn):
    # Sixteenths, and thresholds in them, so that float64 sums without rounding.
    currents = torch.from_numpy(np.random.default_rng(1).integers(-40, 60, (4, 60, 3)) / 16)
    theta, v_init = torch.tensor([0.5, 1.0, 2.25]), torch.tensor([0.25, -0.5, 1.125])
    layer = IAF(theta, spike_fn, v_init=v_init).double()
    spikes = layer(currents)
    assert spikes.sum() > 100
    assert torch.equal(currents.sum(1), theta * spikes.sum(1) + layer.v_mem - v_init)
