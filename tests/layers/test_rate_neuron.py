"""The neuron that takes a ReLU's place: its spikes are the kernels', its gradients those of the smoothed spikes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from rate_neurons import KINDS, currents, every_kind, made
from torch import Tensor

from respike.errors import InputError
from respike.layers import ATan, RateNeuron, equations, kernels, reset_states
from respike.layers.kernels import Drive, Send
from respike.layers.kernels.eager import fire


@every_kind
def test_spikes_are_those_of_the_kernels(kind: str) -> None:
    layer, x = made(kind).requires_grad_(False), currents()
    first = layer.spike_threshold * layer.start * layer.rule.finest
    state = tuple(torch.broadcast_to(v, x[:, 0].shape) for v in (first, torch.zeros(()))[: 1 + layer.rule.signed])
    drive = Drive(x.transpose(0, 1), x.shape[1], bias=layer.bias)
    wanted, _ = kernels.scan(layer.rule, drive, layer.spike_threshold, state, Send(layer.spike_threshold))
    assert torch.equal(layer(x), wanted.transpose(0, 1))
    assert bool((wanted < 0).any()) == layer.rule.signed  # or nothing was taken back


@every_kind
def test_the_state_goes_on_and_starts_again(kind: str) -> None:
    layer, x = made(kind).requires_grad_(False), currents()
    whole = layer(x)
    reset_states(layer)
    assert torch.equal(torch.cat([layer(part) for part in x.split(5, 1)], 1), whole)
    reset_states(layer)
    with torch.no_grad():
        layer.start.mul_(0.5)
    assert torch.equal(layer(x), copy.deepcopy(layer)(x)) is False  # the copy goes on where the layer is
    reset_states(layer)
    fresh = made(kind).requires_grad_(False)
    with torch.no_grad():
        fresh.start.mul_(0.5)
    assert torch.equal(layer(x), fresh(x))  # V_0 is that of now


def stand_in(layer: RateNeuron, values: dict[str, Tensor], offsets: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
    """The layer's equations with smooth spikes, each moved by a constant to what the layer sends: in float64."""
    theta, rule = values["spike_threshold"], layer.rule
    v_mem: Tensor = theta * values["start"] * rule.finest
    net, sent, moved = torch.zeros(3, 4, 5, dtype=torch.double), [], []
    for t, current in enumerate(values["x"].unbind(1)):
        lost = 0 if rule.alpha is None else equations.leak_compensation(torch.tensor(rule.alpha), theta)
        v_mem = (1 if rule.alpha is None else rule.alpha) * v_mem + current + values["bias"] + lost
        lowest = -net.clamp(max=rule.most) if rule.signed else torch.zeros_like(net)
        smooth = (v_mem / theta - rule.finest / 2).clamp(max=rule.most).maximum(lowest)
        if offsets is None:
            spikes = fire(rule, v_mem, net if rule.signed else None, theta)
            moved.append(spikes - smooth)
        else:
            spikes = smooth + offsets[t]
        net = net + spikes if offsets is None else net  # unsigned spikes do not ask for it
        sent.append(spikes * theta)
        v_mem = v_mem - spikes * theta
    return torch.stack(sent, 1), moved


@pytest.mark.parametrize("kind", ["binary", "bursts", "lif"])
def test_gradients_are_the_finite_differences_of_the_smoothed_spikes(kind: str) -> None:
    layer, x = made(kind).double(), currents(6).double().requires_grad_()
    weight = torch.randn(3, 6, 4, 5, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    (layer(x) * weight).sum().backward()
    values = {name: p.detach() for name, p in layer.named_parameters()} | {"x": x.detach()}
    found = {name: p.grad for name, p in layer.named_parameters()} | {"x": x.grad}
    _, offsets = stand_in(layer, values, None)
    step = 1e-6
    for name, value in values.items():
        for place in range(0, value.numel(), max(1, value.numel() // 7)):
            change = torch.zeros_like(value).flatten()
            change[place] = step
            up, down = (
                float(
                    (stand_in(layer, values | {name: value + sign * change.view_as(value)}, offsets)[0] * weight).sum()
                )
                for sign in (1, -1)
            )
            grad = found[name]
            assert grad is not None
            assert float(grad.flatten()[place]) == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6), name


@every_kind
def test_gradients_reach_all_parameters(kind: str) -> None:
    layer = made(kind)
    layer(currents()).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool((parameter.grad != 0).any()), name


def test_another_surrogate_counts() -> None:
    grads = []
    for surrogate in (None, ATan()):
        layer, x = RateNeuron(surrogate_grad_fn=surrogate), torch.full((1, 1, 1), 0.4, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad is not None
        grads.append(float(x.grad))
    assert grads[0] == 1
    assert grads[1] == pytest.approx(float(ATan()(torch.tensor(0.9), torch.tensor(1.0))))


def test_spikes_can_be_hooked_and_are_whole_numbers() -> None:
    layer, seen = RateNeuron(0.5, max_spikes=3), []
    layer.spikes.register_forward_hook(lambda module, given, sent: seen.append(sent))
    sent = layer(torch.full((1, 4, 1), 0.7))
    assert torch.equal(seen[0] * 0.5, sent)
    assert torch.equal(seen[0], seen[0].round())


def test_images_laid_out_by_channels_last_stay_so() -> None:
    x = torch.rand(2, 3, 5, 5, 4).permute(0, 1, 4, 2, 3)
    assert RateNeuron()(x).stride() == x.stride()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"spike_threshold": 0.0}, "spike_threshold must be positive"),
        ({"bias": float("nan")}, "bias must be finite"),
        ({"tau_mem": -1.0}, "tau_mem must be positive"),
        ({"levels": 3}, "signed=True"),
    ],
)
def test_wrong_constants_are_an_error(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        RateNeuron(**wrong)


LAYOUTS: dict[str, Any] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: (
        x.flatten(0, 1).unsqueeze(-1).contiguous(memory_format=torch.channels_last)[..., 0].unflatten(0, x.shape[:2])
    ),
    "time first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "expanded": lambda x: x[:, :1].expand_as(x),
}


def learned(layer: RateNeuron, x: Tensor, backend: str) -> tuple[list[Tensor], list[Tensor]]:
    """What a layer sends in two calls, the state that they leave, and all gradients."""
    kernels.use(backend)
    try:
        reset_states(layer)
        layer.zero_grad()
        x = x.detach().requires_grad_()
        sent = torch.cat([layer(part) for part in x.split(7, 1)], 1)
        weight = torch.randn(sent.shape, generator=torch.Generator().manual_seed(5))
        ((sent * weight).sum() + layer.v_mem.square().sum()).backward()
        grads = [x.grad, *(p.grad for p in layer.parameters())]
    finally:
        kernels.use(None)
    state = [getattr(layer, name).detach().clone() for name in layer.state_names]
    return [sent.detach(), *state], [grad for grad in grads if grad is not None]


@pytest.mark.parametrize("floor", [None, -0.2])
@pytest.mark.parametrize("layout", LAYOUTS)
@every_kind
def test_the_compiled_scan_gives_the_same_numbers_and_gradients(kind: str, layout: str, floor: float | None) -> None:
    before = made(kind)
    layer = RateNeuron(before.spike_threshold, before.bias, before.start, **KINDS[kind], floor=floor)
    x = LAYOUTS[layout](currents())
    sent, grads = learned(layer, x, "numba")
    wanted, wanted_grads = learned(layer, x, "eager")
    assert all(torch.equal(a, b) for a, b in zip(sent, wanted, strict=True))
    assert len(grads) == len(wanted_grads) == 4
    for a, b in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5)
        assert a.shape == b.shape


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_share_the_samples(threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        sent, grads = learned(made("signed"), currents(), "numba")
    finally:
        torch.set_num_threads(before)
    wanted, wanted_grads = learned(made("signed"), currents(), "eager")
    assert torch.equal(sent[0], wanted[0])
    for a, b in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5)


def test_no_samples_and_no_steps_have_gradients_too() -> None:
    for shape in ((0, 3, 4, 5), (2, 0, 4, 5)):
        layer, x = made("binary"), torch.zeros(shape, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad is not None
        assert x.grad.shape == shape
