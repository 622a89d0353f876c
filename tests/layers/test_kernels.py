"""The scans give the numbers of the layers, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kernel_cases import LAYOUTS, random
from torch import Tensor

from respike.layers import IAF, LIF, MaxSpike, SingleSpike, kernels
from respike.layers.kernels import Drive, Rule, Send

STEPS, NEURONS = 24, 1103  # no multiple of a vector register, nor of the tiles of compiled kernels
SPIKE_FNS: dict[int | None, Any] = {1: SingleSpike, 2: MaxSpike(2), 3: MaxSpike(3), None: MaxSpike(None)}
every_neuron = pytest.mark.parametrize("leaky", [False, True], ids=["IAF", "LIF"])
every_limit = pytest.mark.parametrize("most", SPIKE_FNS)
pytestmark = pytest.mark.usefixtures("backend")


def reference(leaky: bool, most: int | None, theta: float | Tensor, v_init: float | Tensor = 0.0) -> LIF:
    if leaky:
        return LIF(
            7.3,
            spike_threshold=theta,
            spike_fn=SPIKE_FNS[most],
            train_alphas=True,  # α stays what it is in float32 when the layer turns to another type
            norm_input=False,
            v_init=v_init,
            leak_compensation=True,
        ).requires_grad_(False)
    return IAF(theta, SPIKE_FNS[most], v_init=v_init)


def scan(layer: LIF, drive: Drive | Tensor, most: int | None, v_mem: Tensor | None = None) -> tuple[Tensor, Tensor]:
    drive = drive if isinstance(drive, Drive) else Drive(drive, len(drive))
    alpha = layer.alpha("mem")
    rule = Rule(most, alpha=None if alpha is None else float(alpha))
    state = (layer.v_init if v_mem is None else v_mem,)
    assert layer.spike_threshold is not None
    spikes, (v_mem,) = kernels.scan(rule, drive, layer.spike_threshold, state, Send())
    return spikes, v_mem


def assert_same_bits(layer: LIF, currents: Tensor, most: int | None, drive: Drive | None = None) -> None:
    """``currents`` is (T, N, ...), time first; the layer takes (N, T, ...). ``drive``: the same in another form."""
    spikes, v_mem = scan(layer, currents if drive is None else drive, most)
    expected = layer(currents.transpose(0, 1)).transpose(0, 1)
    assert 0 < expected.count_nonzero() < expected.numel()
    assert torch.equal(spikes, expected)
    assert torch.equal(v_mem, layer.v_mem)


@every_neuron
@every_limit
@pytest.mark.parametrize("theta", [1.0, 0.73, 0.001])
def test_random_currents(leaky: bool, most: int | None, theta: float) -> None:
    assert_same_bits(reference(leaky, most, theta, v_init=theta / 2), theta * random(STEPS, 2, NEURONS), most)


@every_neuron
@every_limit
def test_a_threshold_and_a_start_per_channel(leaky: bool, most: int | None) -> None:
    theta = random(5, 1, 1, seed=1).abs() + 0.1
    assert_same_bits(reference(leaky, most, theta, v_init=theta / 2), random(STEPS, 4, 5, 7, 3), most)


@every_neuron
@every_limit
def test_neurons_without_an_axis_but_that_of_samples(leaky: bool, most: int | None) -> None:
    assert_same_bits(reference(leaky, most, 0.73), random(STEPS, NEURONS), most)


@every_neuron
@every_limit
def test_constant_currents(leaky: bool, most: int | None) -> None:
    """Given once or expanded."""
    current = random(1, 2, NEURONS) / 4
    layer = reference(leaky, most, 0.73)
    assert_same_bits(layer, current.expand(STEPS, 2, NEURONS), most, Drive(current, STEPS))
    layer.reset_states()
    assert_same_bits(layer, current.expand(STEPS, 2, NEURONS), most)
    assert scan(layer, current.expand(STEPS, 2, NEURONS), most)[0].is_contiguous()


@every_neuron
@every_limit
def test_currents_in_parts(leaky: bool, most: int | None) -> None:
    """(values·scale + extra·extra_scale) + bias, rounded after every operation."""
    values, extra = random(STEPS, 4, 5, 7), random(STEPS, 4, 5, 7, seed=1)
    scale, extra_scale, bias = (random(5, 1, seed=seed) for seed in (2, 3, 4))
    drive = Drive(values, STEPS, scale, extra, extra_scale, bias)
    assert_same_bits(reference(leaky, most, 0.73), values * scale + extra * extra_scale + bias, most, drive)


@pytest.mark.parametrize("layout", LAYOUTS)
@every_neuron
def test_every_layout(leaky: bool, layout: str) -> None:
    theta = random(5, 1, 1, seed=1).abs() + 0.1
    assert_same_bits(reference(leaky, 2, theta), LAYOUTS[layout](random(STEPS, 2, 5, 6, 4)), 2)


@every_neuron
@every_limit
def test_blocks_of_neurons_and_of_time_make_up_the_whole(leaky: bool, most: int | None) -> None:
    layer, currents = reference(leaky, most, 0.73), random(STEPS, 2, NEURONS)
    spikes, v_mem = scan(layer, currents, most)
    blocks = [scan(layer, block, most) for block in currents.split(100, 2)]
    assert torch.equal(torch.cat([block[0] for block in blocks], 2), spikes)
    assert torch.equal(torch.cat([block[1] for block in blocks], 1), v_mem)
    early, carried = scan(layer, currents[:7], most)
    late, last = scan(layer, currents[7:], most, carried)
    assert torch.equal(torch.cat([early, late]), spikes)
    assert torch.equal(last, v_mem)


@every_limit
def test_potentials_right_at_the_threshold(most: int | None) -> None:
    theta = torch.tensor(0.73)
    below = torch.nextafter(theta, torch.tensor(0.0))
    currents = torch.stack([below, theta, 2 * below, 2 * theta, 3 * below, 3 * theta, -theta]).expand(6, 1, 7)
    assert_same_bits(reference(False, most, theta, v_init=0.0), currents, most)


@every_neuron
def test_the_scan_changes_none_of_its_arguments_and_keeps_no_graph(leaky: bool) -> None:
    layer, currents = reference(leaky, 1, 0.73), random(STEPS, 2, NEURONS).requires_grad_()
    v_mem = torch.full((2, NEURONS), 0.25)
    spikes, after = scan(layer, currents, 1, v_mem)
    assert torch.equal(v_mem, torch.full((2, NEURONS), 0.25)) and not torch.equal(after, v_mem)
    assert torch.equal(currents, random(STEPS, 2, NEURONS))
    assert not spikes.requires_grad
    assert not after.requires_grad


@every_neuron
@every_limit
def test_double_precision(leaky: bool, most: int | None) -> None:
    currents = random(STEPS, 2, NEURONS).double() + 1e-9
    assert_same_bits(reference(leaky, most, 0.75).double(), currents, most)
    assert scan(reference(leaky, most, 0.75).double(), currents, most)[0].dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8], ids=str)
@every_neuron
def test_currents_of_fewer_bits_are_added_up_in_single_precision(leaky: bool, dtype: torch.dtype) -> None:
    currents = random(STEPS, 2, NEURONS, dtype=dtype)
    assert_same_bits(reference(leaky, 1, 0.73), currents.float(), 1, Drive(currents, STEPS))


@pytest.mark.parametrize("sent", [torch.float32, torch.bfloat16, torch.int8], ids=str)
@pytest.mark.parametrize("scale", [2.0, torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])], ids=["one", "per channel"])
def test_the_form_of_what_is_sent(scale: float | Tensor, sent: torch.dtype) -> None:
    currents, theta = random(STEPS, 2, 5, 9), torch.tensor(0.73)
    spikes = IAF(theta, MaxSpike(3))(currents.transpose(0, 1)).transpose(0, 1)
    found, _ = kernels.scan(Rule(3), Drive(currents, STEPS), theta, (torch.zeros(()),), Send(scale, sent))
    assert found.dtype == sent
    assert torch.equal(found, (spikes * scale).to(sent)) and found.count_nonzero() > 0


def test_no_timesteps_leave_the_potential_as_it_is() -> None:
    state = torch.full((3, 2), 0.25)
    spikes, (v_mem,) = kernels.scan(Rule(), Drive(torch.zeros(0, 3, 2), 0), torch.tensor(1.0), (state,), Send())
    assert spikes.shape == (0, 3, 2)
    assert torch.equal(v_mem, state)
