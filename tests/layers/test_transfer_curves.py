"""Measured transfer curves against counts in whole numbers, the clipped ReLU and the continuous f–I curve."""

import math

import numpy as np
import pytest
import torch

from respike.layers import (
    IAF,
    LIF,
    ExpLeak,
    IAFSqueeze,
    MaxSpike,
    MembraneReset,
    MultiSpike,
    SingleSpike,
    transfer_curve,
)

TIMESTEPS = (1, 2, 7, 16, 100)
SPIKE_FNS = [(SingleSpike, 1), (MaxSpike(1), 1), (MaxSpike(3), 3), (MaxSpike(None), None), (MultiSpike, None)]
NUMERATORS = np.arange(-1000, 4000, 5)  # 1,000 currents k/1024, which float32 sums without rounding


def iaf_counts(spike_fn, timesteps):
    neuron = IAF(spike_fn=spike_fn, v_init=0.5)
    rates = transfer_curve(neuron, torch.from_numpy(NUMERATORS).float() / 1024, timesteps)
    return torch.round(rates * timesteps).long().numpy()


def clipped_relu(currents, theta=1.0):
    return currents.clamp(0, theta) / theta


@pytest.mark.parametrize(("spike_fn", "most"), SPIKE_FNS, ids=str)
@pytest.mark.parametrize("timesteps", TIMESTEPS)
def test_iaf_counts_are_the_floor_of_the_charge_in_whole_numbers(spike_fn, most, timesteps):
    counts = iaf_counts(spike_fn, timesteps)
    expected = (2 * timesteps * NUMERATORS + 1024) // 2048  # floor(T·k/1024 + 1/2)
    assert np.array_equal(counts, expected.clip(0, None if most is None else most * timesteps))


@pytest.mark.parametrize(("spike_fn", "most"), SPIKE_FNS, ids=str)
@pytest.mark.parametrize("timesteps", TIMESTEPS)
def test_iaf_rate_is_within_half_a_spike_of_the_clipped_relu(spike_fn, most, timesteps):
    counts = iaf_counts(spike_fn, timesteps)
    relu = NUMERATORS.clip(0, None if most is None else 1024 * most)
    assert np.abs(1024 * counts - timesteps * relu).max() <= 512  # |N/T − ReLU| <= 1/2T, times 1024 T


@pytest.mark.parametrize("theta", [0.3, 0.7, 2.9])
@pytest.mark.parametrize("timesteps", TIMESTEPS)
def test_iaf_rate_keeps_the_bound_for_any_threshold(theta, timesteps):
    currents = torch.linspace(-theta, 2 * theta, 1000, dtype=torch.float64)
    neuron = IAF(spike_threshold=theta, spike_fn=SingleSpike, v_init=theta / 2).double()
    error = transfer_curve(neuron, currents, timesteps) - clipped_relu(currents, neuron.spike_threshold)
    # θ and v_init are rounded to float32 apart from each other, a relative 1e-7 of the bound.
    assert error.abs().max() <= 0.5 / timesteps + 1e-7


@pytest.mark.parametrize("timesteps", [16, 64])
def test_leak_compensation_brings_every_lif_closer_to_the_clipped_relu(timesteps):
    currents = torch.linspace(-0.5, 1.5, 201)

    def rms(tau, compensated):
        neuron = LIF(tau, spike_fn=SingleSpike, norm_input=False, v_init=0.5, leak_compensation=compensated)
        return (transfer_curve(neuron, currents, timesteps) - clipped_relu(currents)).square().mean().sqrt()

    assert [tau for tau in range(2, 101) if rms(tau, True) >= rms(tau, False)] == []


@pytest.mark.parametrize("tau", [5.0, 20.0, 100.0])
def test_hard_reset_lif_follows_the_continuous_rate_of_the_f_i_curve(tau):
    currents, timesteps = torch.linspace(1.05, 4, 60, dtype=torch.float64), 1500
    neuron = LIF(tau, spike_fn=SingleSpike, reset_fn=MembraneReset()).double()
    counts = transfer_curve(neuron, currents, timesteps) * timesteps
    # In continuous time θ = 1 is reached after τ·ln(I/(I − θ)); a discrete spike waits for the step's end.
    interval = tau * torch.log(currents / (currents - 1))
    assert (counts <= timesteps / interval + 1e-9).all()
    assert (counts >= timesteps / (interval + 1) - 1).all()
    assert (transfer_curve(neuron, torch.linspace(-1, 0.99, 20), timesteps) == 0).all()


def test_a_curve_has_one_column_per_threshold():
    theta, currents = torch.tensor([[[0.5]], [[1.0]], [[2.0]]]), torch.linspace(-1, 3, 33)
    curve = transfer_curve(IAF(theta, spike_fn=SingleSpike, v_init=theta / 2), currents, 8)
    assert curve.shape == (33, 3, 1, 1)
    for channel, one in enumerate(theta.flatten().tolist()):
        alone = transfer_curve(IAF(one, spike_fn=SingleSpike, v_init=one / 2), currents, 8)
        assert torch.equal(curve[:, channel, 0, 0], alone)


def test_a_curve_has_one_column_per_time_constant():
    currents = torch.linspace(0, 4, 9)
    curve = transfer_curve(LIF(torch.tensor([3.0, 30.0]), spike_fn=SingleSpike), currents, 8)
    alone = [transfer_curve(LIF(tau, spike_fn=SingleSpike), currents, 8) for tau in (3.0, 30.0)]
    assert torch.equal(curve, torch.stack(alone, 1))


def test_a_squeeze_layer_has_the_curve_of_the_plain_one():
    currents = torch.linspace(-0.5, 1.5, 16)
    squeezed = IAFSqueeze(num_timesteps=8, spike_fn=SingleSpike)
    assert torch.equal(transfer_curve(squeezed, currents, 8), transfer_curve(IAF(spike_fn=SingleSpike), currents, 8))


def test_the_curve_of_a_leaky_integrator_is_its_mean_potential():
    tau, current, timesteps = 4.0, 0.75, 10
    alpha = math.exp(-1 / tau)
    potential = [current * (1 - alpha**k) / (1 - alpha) for k in range(1, timesteps + 1)]
    curve = transfer_curve(ExpLeak(tau).double(), torch.tensor([current], dtype=torch.float64), timesteps)
    assert curve.item() == pytest.approx(sum(potential) / timesteps, rel=1e-13)


def test_measuring_a_curve_leaves_the_neuron_and_its_states_alone():
    neuron = LIF(5.0, record_states=True, v_init=0.25)
    neuron(torch.linspace(-1, 2, 12).reshape(2, 6, 1))  # states that are part of a graph
    v_mem, recorded = neuron.v_mem, neuron.recordings["v_mem"]
    transfer_curve(neuron, torch.ones(5), 4)
    assert neuron.v_mem is v_mem
    assert neuron.recordings["v_mem"] is recorded


@pytest.mark.parametrize(
    ("currents", "timesteps"),
    [(torch.ones(2, 3), 4), (torch.tensor(1.0), 4), (torch.ones(3), 0), (torch.ones(3), -1)],
)
def test_bad_curve_arguments_are_named(currents, timesteps):
    with pytest.raises(ValueError, match=r"currents must be \(K,\) and timesteps >= 1, got \(.*\), -?\d"):
        transfer_curve(IAF(), currents, timesteps)
