"""Neurons that take spikes back, against closed forms and the conservation of charge."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from respike.layers import equations, kernels
from respike.layers.kernels import Drive, Rule, Send

THETA = torch.tensor(0.5)
pytestmark = pytest.mark.usefixtures("backend")


def run(currents: Tensor, most: int = 1, levels: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potential and net count for currents ``(T, neurons)``, from half the smallest spike on."""
    rule = Rule(most, signed=True, levels=levels)
    start = torch.full(currents.shape[1:], float(THETA) * rule.finest / 2)
    drive = Drive(currents.unsqueeze(1), len(currents))
    spikes, (v_mem, net) = kernels.scan(rule, drive, THETA, (start, torch.zeros_like(start)), Send())
    return spikes[:, 0], v_mem[0], net[0]


def uneven(steps: int, samples: int = 500, seed: int = 0) -> Tensor:
    """Currents that come in bursts and leave again: multiples of 1/64, so that sums are exact."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-48, 64, (steps, samples), generator=generator) / 64


@pytest.mark.parametrize("steps", [1, 3, 8, 32])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_constant_current_gives_the_count_of_an_iaf_neuron(steps: int, most: int) -> None:
    current = torch.arange(-64, 192) / 64
    spikes, _, net = run(current.expand(steps, *current.shape), most)
    expected = equations.iaf_count(current, THETA, steps, THETA / 2, most)
    assert torch.equal(net, expected) and torch.equal(spikes.sum(0), expected)


def test_early_spikes_are_taken_back() -> None:
    """What arrives first and leaves again is forgotten; a neuron without negative spikes keeps it."""
    currents = torch.tensor([1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0]).mul(0.5).unsqueeze(1)
    spikes, _, net = run(currents)
    assert spikes.flatten().tolist() == [1, 1, -1, -1, 0, 0, 0, 0]
    assert net.item() == 0


@pytest.mark.parametrize(("most", "levels"), [(1, 1), (3, 1), (1, 4), (1, 2)])
def test_charge_is_conserved_and_no_more_is_taken_back_than_was_sent(most: int, levels: int) -> None:
    currents = uneven(24)
    spikes, v_mem, net = run(currents, most, levels)
    start = float(THETA) * 0.5**levels
    assert torch.equal(currents.sum(0), THETA * net + v_mem - start)
    assert torch.equal(spikes.cumsum(0)[-1], net)
    assert (spikes.cumsum(0) >= 0).all()


def test_with_time_to_catch_up_the_count_is_that_of_the_mean() -> None:
    """However uneven the currents, if quiet follows, the net count is that of all charge at once."""
    currents = torch.cat([uneven(12), torch.zeros(24, 500)])
    _, v_mem, net = run(currents)
    expected = ((currents.sum(0) + THETA / 2) / THETA).floor().clamp(min=0)
    assert torch.equal(net, expected)
    fires = net > 0
    assert ((v_mem[fires] >= 0) & (v_mem[fires] < THETA)).all()


def test_a_graded_spike_has_the_weight_nearest_to_the_potential() -> None:
    v = torch.arange(-200, 400) / 64
    net = torch.full_like(v, 100.0)
    found = equations.graded_spike(v, net, torch.tensor(1.0), levels=4)
    weights = torch.tensor([1.0, 0.5, 0.25, 0.125])
    choices = torch.cat([-weights, torch.zeros(1), weights])
    units = torch.floor(v * 8) / 8  # what is less than the finest weight waits
    best = (choices - units[:, None]).abs().amin(1)
    assert torch.equal((found - units).abs(), best)
    assert set(found.tolist()) == set(choices.tolist())


def test_a_graded_neuron_sends_eight_values_in_one_step() -> None:
    """Four weights: 0 and the weights themselves, nearest to the current from below."""
    current = torch.arange(0, 64) / 128
    spikes, _, _ = run(current.unsqueeze(0), levels=4)
    assert set((spikes / 0.125).flatten().tolist()) == {0, 1, 2, 4, 8}
