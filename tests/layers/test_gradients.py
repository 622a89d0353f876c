"""Gradients through time: by hand for spikes, by finite differences where nothing fires."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

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
    SingleExponential,
    SingleSpike,
)

THETA, TAU, STEPS = 0.75, 4.0, 20


def random(*shape, seed):
    return np.random.default_rng(seed).normal(0.3, 0.8, shape)


def hand_written_gradient(v_mem, spikes, weights, *, alpha, gain, hard):
    """dL/dI for L = Σ w·s, from the potentials before each reset; backwards, one float at a time."""
    grads, carry = [], 0.0
    for v, s, w in zip(v_mem[::-1], spikes[::-1], weights[::-1], strict=True):
        surrogate = math.exp(-abs(v - THETA) / (0.5 * THETA)) / (0.5 * THETA)
        kept = float(s == 0) if hard else 1 - THETA * surrogate  # d(v after reset)/dv
        grad = w * surrogate + carry * kept
        grads.append(gain * grad)
        carry = alpha * grad
    return grads[::-1]


@pytest.mark.parametrize("spike_fn", [SingleSpike, MultiSpike, MaxSpike(2)], ids=str)
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("kind", ["IAF", "LIF", "LIF norm_input"])
def test_the_gradient_through_time_is_the_chain_written_by_hand(spike_fn, hard, kind):
    settings = {"spike_threshold": THETA, "spike_fn": spike_fn, "surrogate_grad_fn": SingleExponential()}
    settings["reset_fn"] = MembraneReset() if hard else MembraneSubtract()
    layer = IAF(**settings) if kind == "IAF" else LIF(TAU, norm_input="norm" in kind, **settings)
    layer = layer.double()
    layer.record_states = True
    alpha = 1.0 if kind == "IAF" else math.exp(-1 / TAU)
    gain = 1 - alpha if "norm" in kind else 1.0
    currents, weights = random(STEPS, seed=0) / gain, random(STEPS, seed=1)
    x = torch.from_numpy(currents).reshape(1, -1).requires_grad_()
    spikes = layer(x)
    (spikes * torch.from_numpy(weights)).sum().backward()
    after = [0.0, *layer.recordings["v_mem"][0].tolist()]
    before = [alpha * v + gain * i for v, i in zip(after[:-1], currents, strict=True)]
    expected = hand_written_gradient(before, spikes[0].tolist(), weights, alpha=alpha, gain=gain, hard=hard)
    np.testing.assert_allclose(x.grad[0], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("below", [-2.0, -1.0])
def test_at_and_below_the_lower_bound_the_gradient_stops(below):
    x = torch.tensor([[below, 0.5, 0.25]], requires_grad=True)
    layer = IAF(min_v_mem=-1.0)
    layer(x)
    layer.v_mem.sum().backward()
    surrogates = SingleExponential()(torch.tensor([-0.5, -0.25]), torch.tensor(1.0))
    kept = 1 - surrogates  # what the soft reset lets through
    assert x.grad[0].tolist() == pytest.approx([0.0, float(kept[0] * kept[1]), float(kept[1])], rel=1e-6)


def silent(tau_mem, **kwargs):
    return LIF(tau_mem, spike_threshold=None, spike_fn=None, reset_fn=None, **kwargs)


@pytest.mark.parametrize("norm_input", [True, False])
@pytest.mark.parametrize("train_alphas", [True, False])
@pytest.mark.parametrize("tau", [3.0, torch.tensor([1.5, 4.0, 20.0])], ids=["one", "per channel"])
@pytest.mark.parametrize("build", [ExpLeak, silent, lambda *a, **k: silent(*a, tau_syn=2.5, **k)])
def test_gradients_of_time_constants_agree_with_finite_differences(build, tau, train_alphas, norm_input):
    layer = build(tau, train_alphas=train_alphas, norm_input=norm_input).double()
    parameters = {name: p for name, p in layer.named_parameters() if p.requires_grad}
    assert all(name.startswith("alpha_" if train_alphas else "tau_") for name in parameters)
    x = torch.from_numpy(random(2, 6, 3, seed=0)).requires_grad_()

    def run(x, *values):
        layer.reset_states()
        return functional_call(layer, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *parameters.values()))


@pytest.mark.parametrize("train_alphas", [True, False])
def test_spikes_have_gradients_for_every_time_constant(train_alphas):
    layer = LIF(torch.tensor([2.0, 5.0]), torch.tensor([1.5, 3.0]), train_alphas=train_alphas, norm_input=False)
    layer(torch.from_numpy(random(3, STEPS, 2, seed=2)).float()).sum().backward()
    names = ["alpha_mem", "alpha_syn"] if train_alphas else ["tau_mem", "tau_syn"]
    assert [name for name, p in layer.named_parameters() if p.requires_grad] == names
    assert all(getattr(layer, name).grad.ne(0).all() for name in names)


def test_trained_alphas_start_at_the_decay_of_the_time_constants():
    layer = LIF(5.0, tau_syn=2.5, train_alphas=True)
    assert layer.alpha_mem.item() == pytest.approx(math.exp(-1 / 5), rel=1e-7)
    assert layer.alpha_syn.item() == pytest.approx(math.exp(-1 / 2.5), rel=1e-7)
    assert layer.alpha_mem_calculated is layer.alpha_mem


@pytest.mark.parametrize("build", [IAFRecurrent, lambda c: LIFRecurrent(5.0, c, norm_input=False)], ids=["IAF", "LIF"])
def test_gradients_flow_through_recurrent_weights(build):
    torch.manual_seed(0)
    connection = nn.Linear(3, 3)
    build(connection)(torch.from_numpy(random(2, STEPS, 3, seed=3)).float()).sum().backward()
    assert connection.weight.grad.ne(0).all()
    assert connection.bias.grad.ne(0).all()


@pytest.mark.parametrize("layer", [IAF(2.0, min_v_mem=-1.0, v_init=1.0), LIF(5.0, min_v_mem=-1.0)], ids=repr)
def test_thresholds_bounds_and_starting_potentials_are_not_trained(layer):
    layer(torch.ones(1, 8, 1, requires_grad=True)).sum().backward()
    assert {name for name, p in layer.named_parameters() if p.grad is not None} <= {"tau_mem"}
    assert not layer.v_init.requires_grad
