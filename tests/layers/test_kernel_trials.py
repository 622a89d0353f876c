"""Settings tried out in one pass have the errors of as many runs of the layer."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import RULES, random
from samples import one_in
from torch import Tensor

from respike.layers import kernels
from respike.layers.kernels import Rule, Trials, eager

STEPS, ROWS, CHANNELS, COUNT = 9, 40, 300, 5  # more channels than a kernel takes at a time


def settings() -> Trials:
    generator = torch.Generator().manual_seed(1)
    threshold, start, bias = (torch.rand(COUNT, CHANNELS, generator=generator) for _ in range(3))
    return Trials(threshold + 0.3, start, bias - 0.5, STEPS)


@pytest.mark.parametrize("rule", one_in(3, RULES.values()), ids=str)
@pytest.mark.parametrize("constant", [False, True])
def test_errors_are_those_of_runs(rule: Rule, constant: bool) -> None:
    """The compiled kernel decodes the same numbers; their squares are summed in float64, in another order."""
    values = random(1 if constant else STEPS, ROWS, CHANNELS)
    target = values.mean(0).relu()
    rows = slice(3, 30)
    sent, wanted = torch.empty(2, COUNT, 27, CHANNELS)
    found = kernels.trial_errors(rule, values, target, settings(), rows, sent)
    expected = eager.trial_errors(rule, values, target, settings(), rows, wanted)
    assert found.dtype == torch.float64
    assert torch.equal(sent, wanted)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_errors_of_a_neuron_that_is_right_are_none() -> None:
    """A constant current of k/T of θ is sent exactly; what it misses of a target counts squared."""
    theta = torch.full((2, 3), 0.5)
    current = torch.tensor([[0.5 * 4 / 8, 0.5 * 8 / 8, 0.0]])
    trials = Trials(theta, theta / 2, torch.stack([torch.zeros(3), torch.full((3,), 0.25)]), 8)
    missed = torch.tensor([[0.0, 0.0, 1.0]])
    found = kernels.trial_errors(Rule(), current[None], current + missed, trials, slice(0, 1))
    expected = torch.tensor([[0.0, 0.0, 1.0], [0.25**2, 0.0, 0.75**2]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_a_block_of_positions_does_not_depend_on_the_others() -> None:
    values, rule = random(STEPS, ROWS, CHANNELS), Rule(1, signed=True)
    target: Tensor = values.mean(0).relu()
    parts = [kernels.trial_errors(rule, values, target, settings(), slice(k, k + 10)) for k in range(0, ROWS, 10)]
    cut = kernels.trial_errors(rule, values[:, 10:20].clone(), target[10:20].clone(), settings(), slice(0, 10))
    assert torch.equal(cut, parts[1])
    whole = kernels.trial_errors(rule, values, target, settings(), slice(0, ROWS))
    torch.testing.assert_close(sum(parts), whole, rtol=1e-12, atol=0)
