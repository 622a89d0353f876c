"""Closed forms of the textbooks' neurons against the simulation, at 100 points or more."""

import math

import pytest
import torch

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    SRM0,
    Alpha,
    ConstantLeakIAF,
    IAFRecurrent,
    Lapicque,
    Leaky,
    MembraneReset,
    RLeaky,
    RSynaptic,
    SingleSpike,
    Stein,
    Synaptic,
    TextbookLIF,
    closed_decay,
    closed_form,
    decay_curve,
    equations,
    rheobase,
    transfer_curve,
)

ZERO, NONE = {"reset_mechanism": "zero"}, {"reset_mechanism": "none"}
AT_ONCE = {"reset_delay": False}
CURVES = {  # the neuron, and the current that it is swept to
    "Leaky zero": (lambda: Leaky(0.9, 1.3, **ZERO), 2.0),
    "Leaky zero at once": (lambda: Leaky(0.9, **ZERO, **AT_ONCE), 2.0),
    "Leaky to a potential": (lambda: Leaky(0.8, reset_mechanism=-0.3, v_init=-0.3), 2.0),
    "Leaky none": (lambda: Leaky(0.9, **NONE), 2.0),
    "Leaky graded": (lambda: Leaky(0.9, graded_spikes_factor=0.3, **ZERO), 2.0),
    "Leaky without leak": (lambda: Leaky(1.0, 0.7, v_init=0.2), 2.0),
    "Leaky without leak at once": (lambda: Leaky(1.0, 0.7, v_init=0.2, **AT_ONCE), 2.0),
    "Leaky per neuron": (lambda: Leaky(torch.tensor([0.5, 0.9, 1.0]), **ZERO), 2.0),
    "Lapicque euler": (lambda: Lapicque(R=5.0, C=2.0, **ZERO), 1.0),
    "Lapicque exponential": (lambda: Lapicque(R=5.0, C=2.0, integration="exponential", **ZERO), 1.0),
    "Lapicque at once": (lambda: Lapicque(beta=0.9, reset_mechanism=0.1, v_init=0.1, **AT_ONCE), 4.0),
    "Lapicque none": (lambda: Lapicque(beta=0.9, **NONE), 4.0),
    "Synaptic none": (lambda: Synaptic(0.8, 0.9, **NONE), 0.2),
    "Synaptic none, equal": (lambda: Synaptic(0.8, 0.8, **NONE), 0.2),
    "Stein none": (lambda: Stein(0.8, 0.9, **NONE), 0.2),
    "Alpha": (lambda: Alpha(0.9, 0.8), 2.0),
    "Alpha at once": (lambda: Alpha(0.9, 0.8, **AT_ONCE), 2.0),
    "Alpha none": (lambda: Alpha(0.9, 0.8, **NONE), 2.0),
    "SRM0 zero": (lambda: SRM0(0.9, 0.8, **ZERO), 2.0),
    "SRM0 none": (lambda: SRM0(0.9, 0.8, **NONE), 2.0),
    "TextbookLIF": (lambda: TextbookLIF(20.0, 10.0), 60.0),
    "TextbookLIF refractory": (
        lambda: TextbookLIF(20.0, -50.0, 3.0, -65.0, -70.0, 4.0, 0.5, "exponential", v_init=-70.0),
        40.0,
    ),
    "ConstantLeakIAF": (lambda: ConstantLeakIAF(0.3, spike_fn=SingleSpike, v_init=0.5), 2.0),
    "ConstantLeakIAF without floor": (lambda: ConstantLeakIAF(0.3, min_v_mem=None, spike_threshold=0.7), 2.0),
}


@pytest.mark.parametrize("timesteps", [1, 7, 60])
@pytest.mark.parametrize("name", CURVES)
def test_measured_rates_are_the_closed_form(name, timesteps):
    build, most = CURVES[name]
    neuron = build().double()
    currents = torch.linspace(-most / 4, most, 400, dtype=torch.float64) + most * 1e-7  # away from the jumps
    form = closed_form(neuron, currents, timesteps)
    assert timesteps < 60 or len(form.unique()) > 1
    assert (form - transfer_curve(neuron, currents, timesteps)).abs().max() < 1e-12


@pytest.mark.parametrize(
    "neuron",
    [
        Leaky(0.9),
        Leaky(0.9, v_init=0.5, **ZERO),
        Leaky(1.0, v_init=-0.5),
        Leaky(0.9, inhibition=True, **ZERO),
        Leaky(0.9, state_quant=torch.round, **ZERO),
        Synaptic(0.8, 0.9, **ZERO),
        Stein(0.8, 0.9),
        Alpha(0.9, 0.8, reset_mechanism="subtract"),
        Alpha(0.9, 0.8, reset_mechanism=0.25, v_init=0.25),
        SRM0(0.9, 0.8),
        RLeaky(1.0, all_to_all=False),
        TextbookLIF(v_reset=-0.5),
        TextbookLIF(reset_mechanism="subtract"),
        ALIF(5.0, 20.0),
        ConstantLeakIAF(0.3, min_v_mem=0.1),
    ],
    ids=repr,
)
def test_there_is_none_where_none_is_known(neuron):
    assert closed_form(neuron, torch.linspace(-1, 2, 7), 8) is None


@pytest.mark.parametrize("t_ref", [0.0, 5.0])
@pytest.mark.parametrize("integration", ["euler", "exponential"])
def test_the_refractory_f_i_curve_is_met_within_one_percent_as_dt_goes_to_zero(t_ref, integration):
    """1 / (t_ref + τ ln(RI/(RI − θ))), with τ = 20 ms, θ = 10 mV and R = 2 MΩ; rates from whole intervals."""
    currents = torch.linspace(5.5, 30.0, 100, dtype=torch.float64)
    expected = 1 / (t_ref + 20 * torch.log(2 * currents / (2 * currents - 10)))
    assert torch.allclose(equations.lif_rate(currents, torch.tensor(20.0), torch.tensor(10.0), 2.0, t_ref), expected)
    errors = []
    for dt in (0.2, 0.02):
        steps = round(120 / dt)
        neuron = TextbookLIF(20.0, 10.0, 2.0, t_ref=t_ref, dt=dt, integration=integration).double()
        spikes = neuron(currents.reshape(-1, 1, 1).expand(-1, steps, 1))[:, :, 0]
        first, last = spikes.argmax(1), steps - 1 - spikes.flip(1).argmax(1)
        rate = (spikes.sum(1) - 1) / ((last - first) * dt)
        errors.append(((rate - expected) / expected).abs().max().item())
    assert errors[1] < 0.01 and errors[1] < errors[0] / 5


def test_the_continuous_rate_is_zero_up_to_the_rheobase():
    rate = equations.lif_rate(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor(20.0), torch.tensor(1.0))
    assert rate.tolist() == [0.0, 0.0, 0.0]


RHEOBASES = {
    "IAF": (lambda: IAF(0.7), 0.0),
    "ConstantLeakIAF": (lambda: ConstantLeakIAF(0.3), 0.3),
    "LIF": (lambda: LIF(5.0, spike_threshold=0.7), 0.7),
    "LIF raw": (lambda: LIF(5.0, norm_input=False), 1 - math.exp(-1 / 5)),
    "LIF synapse": (lambda: LIF(5.0, 3.0), math.exp(1 / 3) - 1),
    "LIF compensated": (
        lambda: LIF(5.0, norm_input=False, leak_compensation=True),
        (1 - math.exp(-1 / 5)) / 2,
    ),
    "ALIF": (lambda: ALIF(5.0, 20.0, spike_threshold=0.7), 0.7),
    "Leaky": (lambda: Leaky(0.9), 0.1),
    "RLeaky": (lambda: RLeaky(0.9, V=0.5, all_to_all=False), 0.1),
    "Lapicque": (lambda: Lapicque(R=5.0, C=2.0), 0.2),
    "Synaptic": (lambda: Synaptic(0.8, 0.9), 0.02),
    "Stein": (lambda: Stein(0.8, 0.9), 0.02),
    "RSynaptic": (lambda: RSynaptic(0.8, 0.9, all_to_all=False), 0.02),
    "Alpha": (lambda: Alpha(0.9, 0.8), None),
    "SRM0": (lambda: SRM0(0.9, 0.8), None),
    "TextbookLIF": (lambda: TextbookLIF(20.0, -50.0, 3.0, -65.0), 5.0),
}


@pytest.mark.parametrize("name", RHEOBASES)
def test_only_above_the_rheobase_does_a_neuron_ever_fire(name):
    build, expected = RHEOBASES[name]
    neuron = build().double()
    found = rheobase(neuron)
    if expected is not None:
        assert found.item() == pytest.approx(expected, rel=1e-6)
    below, above = found.item() - 0.001, found.item() * 1.001 + 0.001
    rates = transfer_curve(neuron, torch.tensor([below, above], dtype=torch.float64), 1500)
    assert rates[0] == 0 and rates[1] > 0


def test_no_rheobase_is_claimed_for_a_network():
    assert rheobase(RLeaky(0.9, linear_features=1)) is None
    assert rheobase(IAFRecurrent(torch.nn.Identity())) is None


DECAYS = {
    "IAF": IAF,
    "LIF": lambda: LIF(torch.tensor([2.0, 5.0])),
    "LIF floor": lambda: LIF(5.0, min_v_mem=0.25),
    "ALIF": lambda: ALIF(5.0, 20.0),
    "ConstantLeakIAF": lambda: ConstantLeakIAF(0.0625),
    "Leaky": lambda: Leaky(0.9),
    "RLeaky": lambda: RLeaky(0.9, all_to_all=False),
    "Synaptic": lambda: Synaptic(0.8, torch.tensor([0.9, 0.5])),
    "Stein": lambda: Stein(0.8, 0.9),
    "Lapicque": lambda: Lapicque(R=5.0, C=2.0),
    "Lapicque exponential": lambda: Lapicque(beta=0.7, integration="exponential"),
    "TextbookLIF": lambda: TextbookLIF(20.0, v_rest=-0.5),
    "TextbookLIF exponential": lambda: TextbookLIF(20.0, integration="exponential"),
}


@pytest.mark.parametrize("name", DECAYS)
def test_a_membrane_left_alone_decays_as_the_closed_form_says(name):
    neuron = DECAYS[name]().double()
    form = closed_decay(neuron, 0.75, 120)
    assert form.shape == (121, *neuron.neuron_shape)
    assert (form - decay_curve(neuron, 0.75, 120)).abs().max() < 1e-12


def test_the_exact_membrane_decays_as_the_exponential_of_time():
    """U₀·exp(−t/τ), and β = exp(−1/τ) = 0.8187 at τ = 5."""
    neuron = TextbookLIF(5.0, integration="exponential", dt=0.1).double()
    time = 0.1 * torch.arange(121, dtype=torch.float64)
    assert torch.allclose(decay_curve(neuron, 0.75, 120), 0.75 * torch.exp(-time / 5))
    assert Lapicque(R=5.0, C=1.0).beta.item() == pytest.approx(0.8187, abs=5e-5)


@pytest.mark.parametrize("neuron", [Alpha(0.9, 0.8), SRM0(0.9, 0.8), RLeaky(0.9, linear_features=1)], ids=repr)
def test_no_decay_is_claimed_where_the_membrane_is_not_alone(neuron):
    assert closed_decay(neuron, 0.5, 3) is None


def test_a_hard_reset_lif_with_a_reset_potential_is_left_as_it_was():
    neuron = LIF(5.0, spike_fn=SingleSpike, reset_fn=MembraneReset())
    assert (
        closed_form(neuron, torch.linspace(0, 2, 5), 8).tolist()
        == transfer_curve(neuron, torch.linspace(0, 2, 5), 8).tolist()
    )
