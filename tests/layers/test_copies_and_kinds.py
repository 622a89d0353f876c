"""Starting values, copies and number formats of the states."""

import copy

import pytest
import torch
from torch import nn

from respike.layers import IAF, LIF, ExpLeak, LIFRecurrent, MembraneReset, SingleSpike


def currents(batch=2, steps=12, seed=0):
    return torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(seed)) + 0.6


def test_a_layer_has_no_states_before_its_shape_is_known():
    layer = LIF(5.0, tau_syn=2.0)
    assert not layer.is_state_initialised()
    assert layer.shape is None
    layer.reset_states(randomize=True)
    assert layer.shape is None


@pytest.mark.parametrize("v_init", [0.0, 0.5, torch.tensor([0.0, 0.25, -1.0])], ids=str)
def test_states_start_at_their_initial_values(v_init):
    layer = LIF(5.0, tau_syn=2.0, v_init=v_init, shape=(4, 3))
    for _ in range(2):
        assert layer.shape == (4, 3)
        assert torch.equal(layer.v_mem, torch.as_tensor(v_init).expand(4, 3))
        assert torch.equal(layer.i_syn, torch.zeros(4, 3))
        layer(currents(4))
        layer.reset_states()


@pytest.mark.parametrize(
    ("kind", "settings"), [(IAF, {"v_init": 0.5}), (LIF, {"tau_mem": 5.0}), (ExpLeak, {"tau_mem": 5.0})]
)
def test_a_shape_given_beforehand_changes_no_output(kind, settings):
    layer = kind(shape=(2, 3), **settings)
    assert layer.shape == (2, 3)
    assert torch.equal(layer(currents()), kind(**settings)(currents()))


def test_a_given_shape_takes_the_kind_of_the_parameters():
    layer = IAF(v_init=0.5).double()
    layer.init_state_with_shape((2, 3))
    assert layer.v_mem.dtype == torch.float64
    assert torch.equal(layer.v_mem, torch.full((2, 3), 0.5, dtype=torch.float64))


@pytest.mark.parametrize("at_once", [True, False])
def test_random_states_are_uniform_in_their_ranges(at_once):
    torch.manual_seed(0)
    layer, n = LIF(5.0, tau_syn=2.0, v_init=7.0), 10_000
    layer.init_state_with_shape((n, 1), randomize=at_once)
    ranges = {"v_mem": (0.0, 1.0), "i_syn": (0.0, 1.0)}
    if not at_once:
        ranges["v_mem"] = (-0.5, 2.5)
        layer.reset_states(randomize=True, value_ranges={"v_mem": (-0.5, 2.5)})
    for name, (low, high) in ranges.items():
        share = (getattr(layer, name) - low) / (high - low)
        assert share.min() >= 0
        assert share.max() <= 1
        # Kolmogorov and Smirnov: a uniform sample strays farther from the line 5 times in 10,000.
        line = (torch.arange(n) + 0.5) / n
        assert (share.flatten().sort().values - line).abs().max() < 2.04 / n**0.5
    assert not torch.equal(layer.v_mem, layer.i_syn)


def test_random_states_are_kept_for_the_next_input_and_belong_to_their_batch():
    layer = IAF(shape=(2, 3), spike_fn=SingleSpike)
    layer.reset_states(randomize=True, value_ranges={"v_mem": (1.0, 1.5)})
    assert layer(torch.zeros(2, 1, 3)).all()
    layer.reset_states(randomize=True)
    with pytest.raises(ValueError, match="reset_states"):
        layer(torch.zeros(3, 1, 3))


@pytest.mark.parametrize("used", [False, True])
def test_states_that_are_set_by_hand_are_kept_too(used):
    layer = IAF(shape=(2, 3)).double()
    if used:
        layer(currents().double())
        layer.reset_states()
    layer.v_mem[1] = 0.75  # float64, as the layer is
    assert layer(torch.full((2, 1, 3), 0.5)).flatten(1).tolist() == [[0, 0, 0], [1, 1, 1]]
    layer.reset_states()
    layer.v_mem.data = torch.full((2, 3), 0.75)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) .* input for \(4, 3\); call reset_states"):
        layer(torch.ones(4, 1, 3))
    layer.reset_states()
    assert layer(torch.ones(4, 1, 3)).shape == (4, 1, 3)


def test_an_input_without_timesteps_changes_nothing():
    layer = LIF(5.0, tau_syn=2.0, record_states=True)
    layer(currents())
    v_mem = layer.v_mem.clone()
    assert layer(torch.zeros(2, 0, 3)).shape == (2, 0, 3)
    assert torch.equal(layer.v_mem, v_mem)


@pytest.mark.parametrize(
    "build",
    [
        lambda: LIF(5.0, tau_syn=2.0, norm_input=False, record_states=True),
        lambda: LIF(5.0, train_alphas=True, norm_input=False),
        lambda: ExpLeak(5.0),
        lambda: LIFRecurrent(5.0, nn.Linear(3, 3), norm_input=False),
    ],
    ids=["LIF", "alphas", "ExpLeak", "LIFRecurrent"],
)
def test_a_copy_made_during_training_is_independent(build):
    torch.manual_seed(0)
    layer = build()
    first = layer(currents())
    assert layer.v_mem.grad_fn is not None
    twin = copy.deepcopy(layer)
    assert twin.v_mem.grad_fn is None
    assert torch.equal(twin.v_mem, layer.v_mem)
    for ours, theirs in zip(layer.parameters(), twin.parameters(), strict=True):
        assert ours is not theirs
        assert torch.equal(ours, theirs)
        assert ours.requires_grad == theirs.requires_grad
    expected = copy.deepcopy(layer)(currents(seed=1))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.5)
    twin(currents(seed=2))
    assert torch.equal(layer(currents(seed=1)), expected)
    first.sum().backward()  # the original's graph is whole
    assert any(parameter.grad is not None for parameter in layer.parameters())


def test_a_layer_moves_to_float64_in_the_middle_of_a_run():
    layer, x = LIF(5.0, tau_syn=2.0, min_v_mem=-0.5, v_init=0.25), currents()
    layer(x)
    layer.to(torch.float64)
    assert {value.dtype for value in (*layer.parameters(), *layer.buffers())} == {torch.float64}
    assert layer(x.double()).dtype == torch.float64
    layer.reset_states()
    assert layer.v_mem.dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_spikes_of_any_kind_are_counted_like_floats(dtype):
    spikes = (currents(steps=20) > 0.5).to(dtype)
    for build in (lambda: IAF(1.25, SingleSpike, v_init=0.5), lambda: LIF(5.0, norm_input=False, v_init=0.5)):
        assert torch.equal(build()(spikes), build()(spikes.float()))


def test_a_reset_forgets_the_precision_of_the_last_input():
    layer = IAF(v_init=0.3)
    layer(currents().bfloat16())
    layer.reset_states()
    layer(currents())
    fresh = IAF(v_init=0.3)
    fresh(currents())
    assert torch.equal(layer.v_mem, fresh.v_mem)


@pytest.mark.parametrize("neuron", [LIF(5.0, norm_input=False), IAF()], ids=repr)
def test_a_hard_reset_leaves_silent_neurons_alone(neuron):
    neuron.reset_fn = MembraneReset(0.5)
    neuron(torch.tensor([[[0.0, 1.0, -0.25]]]))  # Sinabs adds the 0.5 to all three
    assert neuron.v_mem.tolist() == [[0.0, 0.5, -0.25]]


def test_the_firing_rate_is_the_mean_of_the_spikes_with_its_gradient():
    layer, twin, x = LIF(5.0, norm_input=False), LIF(5.0, norm_input=False), currents()
    spikes = layer(x)
    assert spikes.mean() == layer.firing_rate
    layer.firing_rate.backward()  # a penalty on it trains, as in Sinabs
    twin(x).mean().backward()
    assert layer.tau_mem.grad == twin.tau_mem.grad != 0
    assert not copy.deepcopy(layer).firing_rate.requires_grad


def test_a_hard_reset_may_go_to_another_potential_in_each_neuron():
    layer = IAF(spike_fn=SingleSpike, reset_fn=MembraneReset(torch.tensor([0.25, 0.5, -0.5])))
    layer(torch.tensor([[[2.0, 0.75, 3.0]]]))
    assert layer.v_mem.tolist() == [[0.25, 0.75, -0.5]]


def test_a_compiled_layer_keeps_its_states():
    layer, x = LIF(5.0, tau_syn=2.0, norm_input=False), currents(steps=2)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch.no_grad():
        outputs = [compiled(x), compiled(x)]
        plain = LIF(5.0, tau_syn=2.0, norm_input=False)
        assert all(torch.equal(output, plain(x)) for output in outputs)
