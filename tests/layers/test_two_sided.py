"""Neurons whose net count may be below zero follow a signal of either sign."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from respike.layers import OfSums, RateNeuron, kernels
from respike.layers.kernels import Drive, Rule, Send

THETA = torch.tensor(0.5)


def run(currents: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Spikes and potential for currents ``(T, neurons)``, from half the smallest spike on."""
    start = torch.full(currents.shape[1:], float(THETA) * rule.finest / 2)
    spikes, (v_mem,) = kernels.scan(rule, Drive(currents.unsqueeze(1), len(currents)), THETA, (start,), Send())
    return spikes[:, 0], v_mem[0]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 3, 8, 32])
def test_a_constant_current_gives_the_rounded_count_of_either_sign(steps: int, most: int) -> None:
    current = torch.arange(-192, 192) / 64
    spikes, _ = run(current.expand(steps, *current.shape), Rule(most, signed=True, two_sided=True))
    expected = torch.floor(current * steps / THETA + 0.5).clamp(-most * steps, most * steps)
    assert torch.equal(spikes.sum(0), expected)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_charge_is_conserved_and_what_comes_is_sent(levels: int) -> None:
    """The count stays within half of the smallest spike of the sum, once there has been time to catch up."""
    rule, generator = Rule(1, signed=True, levels=levels, two_sided=True), torch.Generator().manual_seed(levels)
    burst = torch.randint(-32, 33, (12, 500), generator=generator) / 64
    currents = torch.cat([burst, torch.zeros(24, 500)])
    spikes, v_mem = run(currents, rule)
    start = float(THETA) * rule.finest / 2
    assert torch.equal(currents.sum(0), THETA * spikes.sum(0) + v_mem - start)
    assert bool((spikes.sum(0) < 0).any()) and bool((spikes.sum(0) > 0).any())
    assert float((currents.sum(0) - THETA * spikes.sum(0)).abs().max()) <= start


@pytest.mark.parametrize("function", [F.gelu, F.hardswish, torch.tanh, F.relu])
def test_behind_a_function_of_means_the_count_is_that_of_its_value(function: object) -> None:
    """A tracking neuron: N_T = T·f(mean)/θ, rounded, whatever came in between, if quiet follows."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 40, 7, generator=generator) * (torch.arange(40) < 20)[:, None]
    sent = OfSums(function, of_means=True)(x)  # type: ignore[arg-type]
    spikes = RateNeuron(0.25, max_spikes=8, signed=True, two_sided=True)(sent).detach() / 0.25
    wanted = 40 * function(x.mean(1)) / 0.25  # type: ignore[operator]
    assert float((spikes.sum(1) - wanted).abs().max()) <= 0.5 + 1e-3


def test_of_a_relu_it_is_the_signed_neuron() -> None:
    x = 2 * torch.randn(3, 40, 7, generator=torch.Generator().manual_seed(0))
    sent = OfSums(F.relu)(x)
    both = [RateNeuron(1.0, max_spikes=64, signed=True, two_sided=two)(sent) for two in (False, True)]
    torch.testing.assert_close(*both)


def test_gradients_reach_through_spikes_of_either_sign() -> None:
    x = torch.linspace(-2, 2, 9).expand(1, 4, 9).clone().requires_grad_()
    RateNeuron(1.0, max_spikes=4, signed=True, two_sided=True)(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad > 0).all())
