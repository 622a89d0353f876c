"""The fused scan gives the eager layers' numbers, bit for bit."""

import pytest
import torch

from respike.layers import IAF, LIF, MaxSpike, SingleSpike
from respike.layers.kernels import soft_reset_scan

STEPS, NEURONS = 24, 1003  # no multiple of a vector register
SPIKE_FNS = {1: SingleSpike, 2: MaxSpike(2), 3: MaxSpike(3), None: MaxSpike(None)}
every_neuron = pytest.mark.parametrize("leaky", [False, True], ids=["IAF", "LIF"])
every_limit = pytest.mark.parametrize("most", SPIKE_FNS)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def eager(leaky, most, theta, v_init=0.0):
    if leaky:
        return LIF(
            7.3,
            spike_threshold=theta,
            spike_fn=SPIKE_FNS[most],
            norm_input=False,
            v_init=v_init,
            leak_compensation=True,
        ).requires_grad_(False)
    return IAF(theta, SPIKE_FNS[most], v_init=v_init)


def scan(layer, currents, most, v_mem=None):
    if v_mem is None:
        v_mem = layer.initial_state("v_mem", currents[0])
    return soft_reset_scan(currents, v_mem, layer.spike_threshold, layer.alpha_mem_calculated, most)


def assert_same_bits(layer, currents, most):
    """``currents`` is (T, N, ...), time first; the layer takes (N, T, ...)."""
    spikes, v_mem = scan(layer, currents, most)
    expected = layer(currents.transpose(0, 1)).transpose(0, 1)
    assert 0 < expected.count_nonzero() < expected.numel()
    assert torch.equal(spikes, expected)
    assert torch.equal(v_mem, layer.v_mem)


@every_neuron
@every_limit
@pytest.mark.parametrize("theta", [1.0, 0.73, 0.001])
def test_random_currents(leaky, most, theta):
    assert_same_bits(eager(leaky, most, theta, v_init=theta / 2), theta * (2 * random(STEPS, NEURONS) + 0.4), most)


@every_neuron
@every_limit
def test_a_threshold_and_a_start_per_channel(leaky, most):
    theta = random(5, 1, 1, seed=1).abs() + 0.1
    assert_same_bits(eager(leaky, most, theta, v_init=theta / 2), 2 * random(STEPS, 4, 5, 7, 3) + 0.4, most)


@every_neuron
@every_limit
def test_expanded_constant_currents(leaky, most):
    currents = (random(NEURONS) + 0.4).expand(STEPS, NEURONS)
    layer = eager(leaky, most, 0.73)
    assert_same_bits(layer, currents, most)
    assert scan(layer, currents, most)[0].is_contiguous()


@every_neuron
@every_limit
def test_blocks_of_neurons_and_of_time_make_up_the_whole(leaky, most):
    layer, currents = eager(leaky, most, 0.73), 2 * random(STEPS, NEURONS) + 0.4
    spikes, v_mem = scan(layer, currents, most)
    blocks = [scan(layer, block, most) for block in currents.split(100, 1)]
    assert torch.equal(torch.cat([block[0] for block in blocks], 1), spikes)
    assert torch.equal(torch.cat([block[1] for block in blocks]), v_mem)
    early, carried = scan(layer, currents[:7], most)
    late, last = scan(layer, currents[7:], most, carried)
    assert torch.equal(torch.cat([early, late]), spikes)
    assert torch.equal(last, v_mem)


@every_limit
def test_potentials_right_at_the_threshold(most):
    theta = torch.tensor(0.73)
    below = torch.nextafter(theta, torch.tensor(0.0))
    currents = torch.stack([below, theta, 2 * below, 2 * theta, 3 * below, 3 * theta, -theta]).expand(6, 7)
    assert_same_bits(eager(False, most, theta, v_init=0.0), currents, most)


@every_neuron
def test_the_scan_changes_none_of_its_arguments_and_keeps_no_graph(leaky):
    layer, currents = eager(leaky, 1, 0.73), random(STEPS, NEURONS).requires_grad_()
    v_mem = torch.full((NEURONS,), 0.25)
    spikes, after = scan(layer, currents, 1, v_mem)
    assert torch.equal(v_mem, torch.full((NEURONS,), 0.25))
    assert torch.equal(currents, random(STEPS, NEURONS))
    assert not spikes.requires_grad
    assert not after.requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@every_neuron
def test_other_precisions(leaky, dtype):
    assert_same_bits(eager(leaky, 1, 0.75).to(dtype), (random(STEPS, NEURONS) + 0.4).to(dtype), 1)


def test_no_timesteps_leave_the_potential_as_it_is():
    spikes, v_mem = soft_reset_scan(torch.zeros(0, 3), torch.full((3,), 0.25), torch.tensor(1.0))
    assert spikes.shape == (0, 3)
    assert v_mem.tolist() == [0.25] * 3
