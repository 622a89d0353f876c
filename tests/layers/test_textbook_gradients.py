"""Gradients of learnable parameters against finite differences.

A spike is a step, which has none; so the step is put off: with a sigmoid in its place, whose slope is the
surrogate, what autograd says of a whole layer must be what the differences say.
"""

import pytest
import torch
from torch.func import functional_call

from respike.layers import (
    ALIF,
    SRM0,
    Alpha,
    FastSigmoid,
    Lapicque,
    Leaky,
    RLeaky,
    RSynaptic,
    Sigmoid,
    Stein,
    StrictSpike,
    Synaptic,
    TextbookLIF,
    equations,
)

SMOOTH = Sigmoid(slope=3.0)
ALL = {"learn_beta": True, "learn_threshold": True, "spike_grad": SMOOTH}
AT_ONCE = ALL | {"reset_delay": False}
BOTH = {"learn_alpha": True}
LEARNED = {
    "Leaky": (lambda: Leaky(0.9, **AT_ONCE), {"beta", "threshold"}),
    "Leaky zero": (lambda: Leaky(torch.tensor([0.7, 0.9]), reset_mechanism="zero", **AT_ONCE), {"beta", "threshold"}),
    "Leaky graded": (
        lambda: Leaky(0.9, learn_graded_spikes_factor=True, **AT_ONCE),
        {"beta", "threshold", "graded_spikes_factor"},
    ),
    "Lapicque": (lambda: Lapicque(0.8, R=3.0, **AT_ONCE), {"beta", "threshold"}),
    "Lapicque exponential": (
        lambda: Lapicque(R=3.0, C=2.0, integration="exponential", reset_mechanism=-0.25, **AT_ONCE),
        {"beta", "threshold"},
    ),
    "Synaptic": (lambda: Synaptic(0.6, 0.8, **BOTH, **AT_ONCE), {"alpha", "beta", "threshold"}),
    "Alpha": (lambda: Alpha(0.8, 0.6, **BOTH, **AT_ONCE), {"alpha", "beta", "threshold"}),
    "Alpha to a potential": (
        lambda: Alpha(0.8, 0.6, reset_mechanism=0.25, **BOTH, **AT_ONCE),
        {"alpha", "beta", "threshold"},
    ),
    "RLeaky": (lambda: RLeaky(0.9, V=0.5, all_to_all=False, **AT_ONCE), {"beta", "threshold", "V"}),
    "RSynaptic": (
        lambda: RSynaptic(0.6, 0.8, linear_features=2, **BOTH, **AT_ONCE),
        {"alpha", "beta", "threshold", "recurrent.weight", "recurrent.bias"},
    ),
    "Stein": (lambda: Stein(0.6, 0.8, reset_mechanism="none", **BOTH, **ALL), {"alpha", "beta", "threshold"}),
    "SRM0": (lambda: SRM0(0.8, 0.6, reset_mechanism="none", **BOTH, **ALL), {"alpha", "beta", "threshold"}),
    "TextbookLIF": (
        lambda: TextbookLIF(5.0, v_reset=-0.25, surrogate_grad_fn=SMOOTH, learn_tau=True, learn_threshold=True),
        {"tau_mem", "spike_threshold"},
    ),
    "TextbookLIF subtract": (
        lambda: TextbookLIF(
            5.0,
            integration="exponential",
            reset_mechanism="subtract",
            surrogate_grad_fn=SMOOTH,
            learn_tau=True,
            learn_threshold=True,
        ),
        {"tau_mem", "spike_threshold"},
    ),
    "ALIF": (
        lambda: ALIF(5.0, 10.0, 3.0, spike_fn=StrictSpike, surrogate_grad_fn=SMOOTH),
        {"tau_mem", "tau_syn", "tau_adapt"},
    ),
}


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_agree_with_finite_differences_of_the_surrogate(name, monkeypatch):
    build, learned = LEARNED[name]
    monkeypatch.setattr(equations, "strict_spike", lambda v, theta: torch.sigmoid(SMOOTH.slope * (v - theta)))
    torch.manual_seed(0)
    layer = build().double()
    parameters = {key: p for key, p in layer.named_parameters() if p.requires_grad}
    assert set(parameters) == learned
    x = torch.linspace(-0.5, 3.0, 2 * 6 * 2, dtype=torch.float64).sin().mul(2).add(0.5).reshape(2, 6, 2)

    def run(x, *values):
        layer.reset_states()
        return functional_call(layer, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *parameters.values()))


def test_a_delayed_reset_is_a_constant_to_the_gradient():
    """As in snnTorch: the second step's potential is β·v + I − r·θ with a fixed r."""
    layer = Leaky(0.5, spike_grad=FastSigmoid(), learn_beta=True)
    x = torch.tensor([[[1.5], [0.25]]], requires_grad=True)
    layer(x)
    layer.mem.sum().backward()
    assert x.grad.flatten().tolist() == [0.5, 1.0]
    assert layer.beta.grad.item() == 1.5


def test_a_learned_beta_moves_the_capacitance_and_trains_for_many_steps():
    layer = Lapicque(0.8, R=2.0, learn_beta=True)
    for _ in range(3):  # snnTorch's graph is gone after the first
        layer.reset_states()
        layer.zero_grad()
        layer(torch.ones(1, 5, 1)).sum().backward()
        assert layer.beta.grad.item() != 0
        layer.beta.data -= 0.05 * layer.beta.grad.sign()
    assert (layer.R * layer.C).item() == pytest.approx(-1 / layer.beta.log().item(), rel=1e-6)


def test_without_surrogate_nothing_flows_through_spikes():
    layer = Leaky(0.9, surrogate_disable=True, learn_threshold=True)
    assert not layer(torch.ones(1, 8, 1)).requires_grad
