"""The neuron that takes a ReLU's place, in the hands of users: hooked, changed, subclassed, trained in any way."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from rate_neurons import currents, every_kind, made
from torch import Tensor, nn

from respike.layers import RateNeuron, kernels, reset_states


@pytest.mark.parametrize("floor", [None, -0.2])
@every_kind
def test_listening_to_the_spikes_changes_neither_them_nor_gradients(kind: str, floor: float | None) -> None:
    results = []
    for listened in (False, True):
        layer, x = made(kind), currents().requires_grad_()
        layer.rule = dataclasses.replace(layer.rule, floor=floor)
        if listened:
            layer.spikes.register_forward_hook(lambda m, given, sent: None)
        output = layer(x)
        # What comes after weighs each output differently, and a penalty may be put on the rate.
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(9))
        ((output * weights).sum() + layer.v_mem.square().sum() + 20 * layer.firing_rate).backward()
        wanted = [x, layer.spike_threshold, layer.bias, layer.start]
        results.append(([output, layer.v_mem, layer.firing_rate], [p.grad for p in wanted]))
    (sent, grads), (heard, heard_grads) = results
    assert torch.equal(sent[0], heard[0])
    assert torch.equal(sent[1], heard[1])
    torch.testing.assert_close(sent[2], heard[2], rtol=1e-6, atol=0)
    torch.testing.assert_close(grads, heard_grads, rtol=2e-5, atol=2e-5)


def test_what_is_sent_can_be_changed_in_place() -> None:
    for listened in (False, True):
        layer, x = made("binary"), currents().requires_grad_()
        if listened:
            layer.spikes.register_forward_hook(lambda m, given, sent: None)
        sent = layer(x)
        sent += x
        sent[:, 0] = 0
        layer.v_mem.mul_(0.5)
        (sent.sum() + layer.v_mem.sum()).backward()
        assert x.grad is not None
        assert bool((x.grad[:, 1:] != 0).any())


@pytest.mark.parametrize("way", ["data", "fused Adam", "vector"])
def test_parameters_count_however_they_change(way: str) -> None:
    layer, x = made("binary"), currents()
    layer(x).sum().backward()
    if way == "data":
        layer.spike_threshold.data.fill_(0.9)
    elif way == "fused Adam":
        torch.optim.Adam(layer.parameters(), 0.1, fused=True).step()
    else:
        moved = [p.detach().flatten() + 0.1 for p in layer.parameters()]
        nn.utils.vector_to_parameters(torch.cat(moved), layer.parameters())
    reset_states(layer)
    found = layer(x)
    kernels.use("eager")
    try:
        reset_states(layer)
        assert torch.equal(found, layer(x))
    finally:
        kernels.use(None)


def test_whoever_replaces_how_spikes_are_handed_on_is_asked() -> None:
    class Silent(RateNeuron):
        def scan(self, currents: Tensor, state: dict[str, Tensor], dim: int = 1) -> Any:
            spikes, *rest = super().scan(currents, state, dim)
            return 0 * spikes, *rest

    layer = RateNeuron()
    layer.spikes.forward = lambda spikes: 0 * spikes  # type: ignore[method-assign]
    assert not bool(layer(currents()).any())
    assert not bool(Silent()(currents()).any())
    assert bool(RateNeuron()(currents()).any())


def test_currents_of_inference_mode_can_be_learned_from() -> None:
    with torch.inference_mode():
        x = currents() * 1.0
    layer = made("binary")
    layer(x).sum().backward()
    assert layer.spike_threshold.grad is not None


def test_more_spikes_than_whole_numbers_hold_are_told() -> None:
    layer = RateNeuron(0.5, max_spikes=10**19)
    layer(torch.full((1, 2, 3), 1e25))
    assert float(layer.firing_rate.detach()) == pytest.approx(1e19, rel=1e-6)
