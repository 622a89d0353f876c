"""States go on from call to call, start anew on request, and never leave the layer."""

import pytest
import torch
from torch import nn

from respike.layers import (
    IAF,
    LIF,
    ExpLeak,
    IAFRecurrent,
    LIFRecurrent,
    MaxSpike,
    MembraneReset,
    SingleSpike,
    reset_states,
    zero_grad,
)


def connection():
    torch.manual_seed(1)
    return nn.Linear(3, 3)


LAYERS = {
    "IAF": lambda **kwargs: IAF(v_init=0.25, **kwargs),
    "LIF": lambda **kwargs: LIF(5.0, 3.0, min_v_mem=-0.5, v_init=0.25, norm_input=False, **kwargs),
    "LIF alphas": lambda **kwargs: LIF(5.0, 3.0, train_alphas=True, norm_input=False, **kwargs),
    "LIF per channel": lambda **kwargs: LIF(torch.tensor([2.0, 5.0, 9.0]), v_init=torch.tensor([0, 0.5, 1]), **kwargs),
    "LIF hard": lambda **kwargs: LIF(
        5.0, norm_input=False, spike_fn=SingleSpike, reset_fn=MembraneReset(0.5), **kwargs
    ),
    "ExpLeak": lambda **kwargs: ExpLeak(5.0, **kwargs),
    "IAFRecurrent": lambda **kwargs: IAFRecurrent(connection(), spike_fn=MaxSpike(2), **kwargs),
    "LIFRecurrent": lambda **kwargs: LIFRecurrent(5.0, connection(), tau_syn=2.0, norm_input=False, **kwargs),
}
FEED_FORWARD = [name for name in LAYERS if "Recurrent" not in name]  # those carry no feedback from call to call
every_layer = pytest.mark.parametrize("name", LAYERS)


def currents(batch=2, steps=12, seed=0):
    return torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(seed)) + 0.6


@pytest.mark.parametrize("name", FEED_FORWARD)
@pytest.mark.parametrize("split", [0, 1, 6, 11])
def test_two_calls_equal_one_call_over_both_times(name, split):
    x, whole, parts = currents(), LAYERS[name](), LAYERS[name]()
    assert torch.equal(torch.cat([parts(x[:, :split]), parts(x[:, split:])], 1), whole(x))
    for state in whole.state_names:
        assert torch.equal(getattr(parts, state), getattr(whole, state))


@every_layer
def test_the_same_input_gives_the_same_output_after_a_reset_only(name):
    layer, x = LAYERS[name](), currents()
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.reset_states()
    assert torch.equal(layer(x), first)


@every_layer
def test_another_batch_size_is_an_error_until_the_states_are_reset(name):
    layer, small, large = LAYERS[name](), currents(2), currents(5)
    layer(small)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) .* input for \(5, 3\); call reset_states\(\)"):
        layer(large)
    layer.reset_states()
    assert torch.equal(layer(large), LAYERS[name]()(large))
    assert layer.shape == (5, 3)


def test_a_layer_takes_an_empty_batch_as_often_as_any_other():
    layer = IAF()
    assert [layer(torch.zeros(0, 4)).shape for _ in range(2)] == [(0, 4), (0, 4)]


@every_layer
def test_recordings_are_the_states_after_each_step(name):
    layer, manual, x = LAYERS[name](record_states=True), LAYERS[name](), currents()
    layer(x)
    assert set(layer.recordings) == set(layer.state_names)
    for state, values in layer.recordings.items():
        assert values.shape == x.shape
        assert torch.equal(values[:, -1], getattr(layer, state))
    if name in FEED_FORWARD:
        for step in range(x.shape[1]):
            manual(x[:, step : step + 1])
            for state, values in layer.recordings.items():
                assert torch.equal(values[:, step], getattr(manual, state))


def test_nothing_is_recorded_unless_asked_for():
    layer = IAF()
    layer(currents())
    assert layer.recordings == {}


@every_layer
def test_a_state_dict_holds_no_states_and_loads_into_a_fresh_layer(name):
    layer, fresh = LAYERS[name](), LAYERS[name]()
    expected = layer(currents())
    for value in fresh.state_dict().values():
        value.fill_(0.75)
    assert not set(layer.state_dict()) & {"v_mem", "i_syn"}
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(currents()), expected)


def test_two_layers_share_no_memory_of_their_starting_potential():
    v_init = torch.tensor([0.5])
    layer = IAF(v_init=v_init)
    layer.load_state_dict(IAF(v_init=torch.tensor([0.25])).state_dict())
    assert v_init == 0.5


@pytest.mark.parametrize("helper", [reset_states, zero_grad])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda *layers: layers[0],
        nn.Sequential,
        lambda *layers: nn.ModuleDict({"a": nn.Sequential(nn.ModuleList(layers))}),
    ],
    ids=["bare", "sequential", "nested"],
)
@pytest.mark.parametrize("name", ["LIF", "LIFRecurrent"])  # Sinabs skips layers that have children
def test_helpers_reach_every_layer_of_a_model(name, wrap, helper):
    layers = LAYERS[name](), LAYERS["ExpLeak"]()
    model = wrap(*layers)
    used = [layer for layer in layers if any(layer is module for module in model.modules())]
    for layer in used:
        layer(currents()).sum().backward()
        assert layer.v_mem.grad_fn is not None
    helper(model)
    for layer in used:
        assert layer.v_mem.grad_fn is None
        if helper is reset_states:
            assert torch.equal(layer.v_mem, layer.v_init.expand(2, 3))
        else:
            assert layer.tau_mem.grad is None
            assert layer.v_mem.any()


@every_layer
def test_zero_grad_lets_a_second_backward_pass_through(name):
    layer = LAYERS[name]()
    weight = torch.ones(3, requires_grad=True)
    layer(currents() * weight).sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        layer(currents() * weight).sum().backward()
    layer.zero_grad()
    assert all(parameter.grad is None for parameter in layer.parameters())
    layer(currents() * weight).sum().backward()
