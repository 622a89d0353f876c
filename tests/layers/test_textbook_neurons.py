"""What the textbooks' neurons do, and what they refuse; their traces are in test_golden_models.py."""

import itertools
import math
import re

import pytest
import torch
from torch import nn

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    SRM0,
    ALIFRecurrent,
    Alpha,
    ConstantLeakIAF,
    Lapicque,
    Leaky,
    NoReset,
    RLeaky,
    RSynaptic,
    SingleSpike,
    Stein,
    StrictSpike,
    Synaptic,
    TextbookLIF,
    reset_states,
)


def spike_steps(layer, current, timesteps=100):
    """The timesteps, from 1, in which a layer fires under a constant current."""
    return (layer(torch.full((1, timesteps, 1), float(current)))[0, :, 0].nonzero()[:, 0] + 1).tolist()


def potentials(layer, currents):
    layer.record_states = True
    layer(torch.tensor(currents).reshape(1, -1, 1))
    return layer.recordings[layer.membrane][0, :, 0].tolist()


def test_the_textbook_simulation():
    """τ = 20, θ = 10, I = 11 by forward Euler: 11·(1 − 0.95^k) passes 10 at k = 47; exactly, at 20·ln 11 = 47.96."""
    assert spike_steps(TextbookLIF(20.0, 10.0), 11) == [47, 94]
    assert spike_steps(TextbookLIF(20.0, 10.0, integration="exponential"), 11) == [48, 96]


def test_refractory_steps_are_added_to_each_interval_but_not_to_the_first():
    assert spike_steps(TextbookLIF(20.0, 10.0, t_ref=3.0), 11) == [47, 97]
    assert spike_steps(TextbookLIF(20.0, 10.0, t_ref=3.0, dt=0.5), 11, 300)[:2] == [95, 196]


def test_a_refractory_membrane_stays_where_it_is():
    layer = TextbookLIF(2.0, 1.0, v_reset=-0.5, t_ref=2.0)
    assert potentials(layer, [4.0, 4.0, 4.0, 4.0]) == [-0.5, -0.5, -0.5, 1.75 - 2.25]
    assert layer.refractory.item() == 2


def test_the_rest_is_where_a_membrane_goes():
    assert potentials(TextbookLIF(2.0, -50.0, v_rest=-65.0, v_init=-61.0), [0.0, 0.0]) == [-63.0, -64.0]


@pytest.mark.parametrize(
    ("mechanism", "expected"), [("value", [0.25, 1.0]), ("subtract", [0.75, 0.5]), ("none", [1.5, 1.625])]
)
def test_the_resets_of_the_textbook_lif(mechanism, expected):
    assert potentials(TextbookLIF(2.0, 1.0, v_reset=0.25, reset_mechanism=mechanism), [3.0, 1.75]) == expected


@pytest.mark.parametrize(
    ("mechanism", "delayed", "at_once"),
    [
        ("subtract", [1.5, -0.25, -0.125], [0.5, 0.25, 0.125]),
        ("zero", [1.5, 0.0, 0.0], [0.0, 0.0, 0.0]),
        (-0.5, [1.5, -0.25, -0.125], [-0.5, -0.25, -0.125]),
        ("none", [1.5, 0.75, 0.375], [1.5, 0.75, 0.375]),
    ],
)
def test_the_resets_of_leaky_and_when_they_come(mechanism, delayed, at_once):
    assert potentials(Leaky(0.5, reset_mechanism=mechanism), [1.5, 0.0, 0.0]) == delayed
    assert potentials(Leaky(0.5, reset_mechanism=mechanism, reset_delay=False), [1.5, 0.0, 0.0]) == at_once


def test_a_delayed_hard_reset_keeps_the_input_of_leaky_only():
    inputs = [1.5, 0.25]
    assert potentials(Leaky(0.5, reset_mechanism="zero"), inputs)[1] == 0.25
    assert potentials(RLeaky(0.5, V=0.0, all_to_all=False, reset_mechanism="zero"), inputs)[1] == 0.0
    assert potentials(Lapicque(R=2.0, C=1.0, reset_mechanism="zero"), inputs)[1] == 0.0


def test_a_neuron_far_above_its_threshold_fires_until_it_is_below():
    """3.6 thresholds are three spikes; snnTorch's reset_delay=False fires once, then takes two resets back."""
    layer = Leaky(1.0, reset_delay=False)
    assert layer(torch.tensor([3.6, 0.0, 0.0, 0.0, 0.0]).reshape(1, -1, 1)).flatten().tolist() == [1, 1, 1, 0, 0]
    assert layer.mem.item() == pytest.approx(0.6, abs=1e-6)


def test_a_potential_that_just_reaches_the_threshold_waits_in_snntorch_and_fires_in_sinabs():
    assert spike_steps(Leaky(1.0), 0.5, 3) == [3]
    assert spike_steps(IAF(1.0, SingleSpike), 0.5, 3) == [2]
    assert spike_steps(IAF(1.0, StrictSpike), 0.5, 3) == [3]


def test_spikes_of_snntorch_02_leave_one_step_late():
    x = torch.rand(2, 60, 3, generator=torch.Generator().manual_seed(0)) / 2
    spikes = Synaptic(0.8, 0.9)(x)
    late = Stein(0.8, 0.9)(x)
    assert spikes.sum() > 20
    assert torch.equal(late[:, 1:], spikes[:, :-1])
    assert late[:, 0].sum() == 0


def test_only_the_strongest_fires_under_inhibition_and_only_it_is_reset():
    layer = Leaky(1.0, inhibition=True)
    spikes = layer(torch.tensor([[[1.5, 2.0, 0.5], [0.0, 0.0, 0.0]]]))
    assert spikes[0].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert layer.mem.tolist() == [[1.5, 1.0, 0.5]]


def test_states_go_through_the_quantiser():
    layer = Synaptic(0.5, 0.5, state_quant=torch.round)
    layer(torch.tensor([[[0.75], [0.0]]]))
    assert (layer.syn.item(), layer.mem.item()) == (0.0, 1.0)  # from (1, 1): 0.5 rounds to 0, 0.5 + 0.5 is 1


def test_lapicque_derives_what_is_missing():
    layer = Lapicque(R=5.0, C=2.0, time_step=0.5)
    assert layer.beta.item() == pytest.approx(math.exp(-0.05))
    assert Lapicque(beta=0.9, R=5.0).C.item() == pytest.approx(-1 / (5 * math.log(0.9)), rel=1e-5)
    assert Lapicque(beta=0.9, C=2.0).R.item() == pytest.approx(-1 / (2 * math.log(0.9)), rel=1e-5)
    alone = Lapicque(beta=0.9)
    assert (alone.R.item(), alone.C.item()) == pytest.approx((1.0, -1 / math.log(0.9)), rel=1e-5)


def test_a_convolution_hears_its_neighbours():
    layer = RLeaky(0.5, conv2d_channels=1, kernel_size=3)
    nn.init.constant_(layer.recurrent.weight, 0.25)
    nn.init.zeros_(layer.recurrent.bias)
    x = torch.zeros(1, 2, 1, 3, 3)
    x[0, 0, 0, 0, 0] = 1.5
    layer(x)
    assert layer.mem[0, 0].tolist() == [[0.0, 0.25, 0.0], [0.25, 0.25, 0.0], [0.0, 0.0, 0.0]]


def test_adaptation_stretches_the_intervals():
    steps = spike_steps(ALIF(10.0, 100.0), 3.0, 150)
    intervals = [b - a for a, b in itertools.pairwise(steps)]
    assert len(intervals) > 10
    assert max(intervals[:2]) < min(intervals[-2:])


def test_an_adaptive_synapse_lives_on_between_calls_with_norm_input():
    """In Sinabs 3.1 the normalisation leaks into the synaptic current, and each call starts without one."""
    x = torch.rand(1, 30, 2, generator=torch.Generator().manual_seed(0)) * 2
    whole, parts = ALIF(10.0, 30.0, 4.0), ALIF(10.0, 30.0, 4.0)
    assert torch.equal(whole(x), torch.cat([parts(x[:, :11]), parts(x[:, 11:])], 1))
    current = 0.0
    for value in x[0, :, 0].tolist():
        current = math.exp(-1 / 4) * (current + value)
    assert whole.i_syn[0, 0].item() == pytest.approx(current, rel=1e-5)


def test_a_constant_leak_stops_at_the_floor():
    assert potentials(ConstantLeakIAF(0.25), [0.75, 0.0, 0.0, 0.0]) == [0.5, 0.25, 0.0, 0.0]
    assert potentials(ConstantLeakIAF(0.25, min_v_mem=None), [0.0, 0.0]) == [-0.25, -0.5]


def test_without_reset_a_sinabs_neuron_keeps_its_potential():
    assert potentials(IAF(1.0, SingleSpike, NoReset()), [0.75, 0.75, 0.0]) == [0.75, 1.5, 1.5]
    assert LIF(5.0, spike_fn=SingleSpike, reset_fn=NoReset())(torch.full((1, 40, 1), 2.0))[0, 10:].min() == 1


ALL = [
    lambda: Leaky(0.9),
    lambda: Lapicque(R=5.0, C=1.0),
    lambda: Synaptic(0.8, 0.9),
    lambda: Alpha(0.9, 0.8),
    lambda: Stein(0.8, 0.9),
    lambda: SRM0(0.9, 0.8),
    lambda: RLeaky(0.9, linear_features=3),
    lambda: RSynaptic(0.8, 0.9, V=-0.5, all_to_all=False),
    lambda: TextbookLIF(5.0, t_ref=2.0),
    lambda: ConstantLeakIAF(0.2),
    lambda: ALIF(5.0, 20.0),
]


@pytest.mark.parametrize("build", ALL)
def test_states_go_on_from_call_to_call_until_they_are_reset(build):
    torch.manual_seed(0)
    layer, x = build(), torch.rand(2, 40, 3) * 2
    whole = layer(x)
    reset_states(layer)
    parts = torch.cat([layer(x[:, :17]), layer(x[:, 17:])], 1)
    assert whole.sum() > 5
    assert torch.equal(whole, parts)


def test_adaptive_feedback_comes_back_in_the_next_step():
    layer = ALIFRecurrent(10.0, 30.0, nn.Identity(), norm_input=False, spike_threshold=1.0, adapt_scale=100.0)
    after_the_spike = 0.5 * math.exp(-1 / 10)
    assert potentials(layer, [1.5, 0.0]) == pytest.approx([0.5, after_the_spike + 1.0])


REFUSED = [
    (lambda: Leaky(1.2), "beta must be in [0, 1], the share left after one timestep, got 1.2"),
    (lambda: Leaky(float("nan")), "beta must be in [0, 1]"),
    (lambda: Synaptic(-0.1, 0.9), "alpha must be in [0, 1]"),
    (lambda: Leaky(0.9, 0.0), "threshold must be positive, got 0"),
    (lambda: Leaky(0.9, reset_mechanism="soft"), "reset_mechanism must be subtract, zero, none or a potential"),
    (lambda: Lapicque(), "Lapicque needs beta, or both R and C"),
    (lambda: Lapicque(R=5.0), "Lapicque needs beta, or both R and C"),
    (lambda: Lapicque(0.9, 5.0, 1.0), "Lapicque takes two of beta, R and C"),
    (lambda: Lapicque(1.0), "beta must be above 0 and below 1 for a time constant, got 1"),
    (lambda: Lapicque(R=-5.0, C=1.0), "R must be positive, got -5"),
    (lambda: Lapicque(0.9, time_step=0.0), "time_step must be positive, got 0"),
    (lambda: Lapicque(0.2), "raise beta or R·C, or lower time_step, or take integration='exponential'"),
    (lambda: Lapicque(0.9, integration="rk4"), "integration must be one of euler, exponential; got 'rk4'"),
    (lambda: Alpha(0.8, 0.9), "alpha must be above beta"),
    (lambda: Stein(0.8, 0.9, reset_delay=False), "Stein fires and resets one step late"),
    (lambda: RLeaky(0.9), "RLeaky needs either linear_features, or conv2d_channels and kernel_size, or all_to_all"),
    (lambda: RLeaky(0.9, linear_features=3, conv2d_channels=2, kernel_size=3), "RLeaky needs either"),
    (lambda: RSynaptic(0.8, 0.9, conv2d_channels=2), "RSynaptic needs either"),
    (lambda: RLeaky(0.9, linear_features=3, all_to_all=False), "feeds back through V alone"),
    (lambda: RLeaky(0.9, conv2d_channels=2, kernel_size=2), "kernel_size must be odd"),
    (lambda: TextbookLIF(0.0), "tau_mem must be positive, got 0"),
    (lambda: TextbookLIF(20.0, -50.0), "spike_threshold must be above v_reset, got -50 and 0"),
    (lambda: TextbookLIF(t_ref=-1.0), "t_ref must be 0 or a positive time, got -1.0"),
    (lambda: TextbookLIF(0.5), "forward Euler overshoots when the timestep is longer than the time constant"),
    (lambda: TextbookLIF(reset_mechanism="zero"), "reset_mechanism must be one of value, subtract, none"),
    (lambda: ALIF(5.0, 0.0), "tau_adapt must be positive, got 0"),
    (lambda: ALIF(5.0, 20.0, spike_threshold=-1.0), "spike_threshold must be positive, got -1"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Leaky(0.9), "Leaky(beta=0.9, threshold=1, reset_mechanism='subtract')"),
        (Lapicque(R=5.0, C=2.0), "Lapicque(R=5, C=2, beta=0.9048, threshold=1, reset_mechanism='subtract')"),
        (TextbookLIF(t_ref=2.0), "TextbookLIF(tau_mem=20, spike_threshold=1, R=1, v_rest=0, v_reset=0, dt=1, ref"),
        (ALIF(5.0, 20.0), "ALIF(tau_mem=5, tau_adapt=20, b0=1, spike_fn=SingleSpike)"),
        (ConstantLeakIAF(0.25), "ConstantLeakIAF(spike_threshold=1, v_leak=0.25, min_v_mem=0, spike_fn=MultiSpike)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_prints_its_constants(layer, text):
    assert text in repr(layer)
