"""What code written for Sinabs asks of a layer: names, arguments, functions called by hand, checkpoints."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    ALIFRecurrent,
    ConstantLeakIAF,
    ExpLeak,
    ExpLeakSqueeze,
    IAFRecurrent,
    IAFSqueeze,
    Leaky,
    LIFRecurrent,
    LIFSqueeze,
    MaxSpike,
    MembraneReset,
    MembraneSubtract,
    MultiSpike,
    NoReset,
    SingleExponential,
    SingleSpike,
    StatefulLayer,
    StrictSpike,
    Triangular,
    set_batch_size,
)

GOLDEN = np.load(Path(__file__).parent / "golden" / "sinabs-checkpoints.npz")
TAUS = torch.tensor([2.0, 5.0, 9.0])


def currents(batch=2, steps=12, seed=0):
    return torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(seed)) + 0.6


LAYERS = {
    "IAF": lambda: IAF(0.75, SingleSpike, MembraneReset(), tau_syn=3.0, min_v_mem=-0.5),
    "IAF from a half": lambda: IAF(v_init=0.5),
    "LIF": lambda: LIF(TAUS, 3.0, torch.tensor([0.5, 0.75, 1.0]), MaxSpike(2), norm_input=False, record_states=True),
    "LIF alphas": lambda: LIF(TAUS, 3.0, train_alphas=True, leak_compensation=True),
    "ALIF": lambda: ALIF(5.0, 9.0, adapt_scale=0.7, spike_threshold=0.5, norm_input=False, min_v_mem=-0.25),
    "ALIF alphas": lambda: ALIF(5.0, TAUS, 2.0, train_alphas=True, surrogate_grad_fn=Triangular()),
    "ExpLeak": lambda: ExpLeak(TAUS, min_v_mem=0.0, norm_input=True),
    "ConstantLeakIAF": lambda: ConstantLeakIAF(0.1, spike_threshold=0.5, min_v_mem=-0.25),
    "LIFRecurrent": lambda: LIFRecurrent(5.0, nn.Linear(3, 3), tau_syn=2.0, norm_input=False),
    "IAFRecurrent": lambda: IAFRecurrent(nn.Linear(3, 3), spike_fn=SingleSpike),
    "ALIFRecurrent": lambda: ALIFRecurrent(5.0, 9.0, nn.Linear(3, 3), norm_input=False),
}
SQUEEZED = {
    "IAFSqueeze": lambda: IAFSqueeze(batch_size=2, tau_syn=3.0),
    "LIFSqueeze": lambda: LIFSqueeze(num_timesteps=12, tau_mem=5.0, norm_input=False, v_init=0.25),
    "ExpLeakSqueeze": lambda: ExpLeakSqueeze(batch_size=2, num_timesteps=12, tau_mem=5.0),
}


@pytest.mark.parametrize("name", [*LAYERS, *SQUEEZED])
def test_a_layer_can_be_made_again_from_its_arguments(name):
    torch.manual_seed(0)
    layer = (LAYERS | SQUEEZED)[name]()
    x = currents().flatten(0, 1) if name in SQUEEZED else currents()
    with torch.no_grad():
        for constant in layer.parameters(recurse=False):
            constant.mul_(0.95)  # as training would
    layer(x)
    twin = type(layer)(**layer.arg_dict)
    assert twin.shape == layer.shape
    assert all(not value.requires_grad for value in layer.arg_dict.values() if isinstance(value, torch.Tensor))
    layer.reset_states()
    # A layer that trains α is made from τ = −1/ln α, which rounds.
    torch.testing.assert_close(twin(x), layer(x), rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(layer.parameters(recurse=False), twin.parameters(recurse=False), strict=True):
        assert ours is not theirs
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    kept = ("spike_fn", "reset_fn", "surrogate_grad_fn", "record_states", "train_alphas", "norm_input", "rec_connect")
    for argument in (a for a in kept if a in layer.arg_dict):
        assert getattr(twin, argument) == getattr(layer, argument)


IAF_ARGUMENTS = "spike_threshold spike_fn reset_fn surrogate_grad_fn tau_syn min_v_mem shape record_states"
LIF_ARGUMENTS = f"tau_mem {IAF_ARGUMENTS} train_alphas norm_input"


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (IAF(), IAF_ARGUMENTS),
        (IAF(v_init=0.5), f"{IAF_ARGUMENTS} v_init"),
        (LIF(5.0), LIF_ARGUMENTS),
        (LIF(5.0, leak_compensation=True), f"{LIF_ARGUMENTS} leak_compensation"),
        (ALIF(5.0, 9.0), f"{LIF_ARGUMENTS} tau_adapt adapt_scale"),
        (ExpLeak(5.0), "tau_mem shape train_alphas min_v_mem norm_input record_states"),
        (LIFRecurrent(5.0, nn.Identity()), f"{LIF_ARGUMENTS} rec_connect"),
        (IAFSqueeze(batch_size=2), f"{IAF_ARGUMENTS} batch_size num_timesteps"),
    ],
    ids=repr,
)
def test_the_arguments_are_those_of_sinabs_and_only_such_of_ours_as_are_used(layer, names):
    assert sorted(layer.arg_dict) == sorted(names.split())


@pytest.mark.parametrize(
    ("layer", "spikes"),
    [
        (IAF(), True),
        (ALIF(5.0, 9.0), True),
        (Leaky(0.9), True),
        (ExpLeak(5.0), False),
        (LIF(5.0, spike_fn=None), False),
        (StatefulLayer(["v_mem"]), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whether_a_layer_fires_can_be_asked(layer, spikes):
    assert layer.does_spike is spikes


@pytest.mark.parametrize("train_alphas", [True, False])
@pytest.mark.parametrize("tau_syn", [3.0, None])
def test_time_constants_and_decay_factors_are_both_there_whichever_is_trained(train_alphas, tau_syn):
    layer = LIF(TAUS, tau_syn, train_alphas=train_alphas)
    torch.testing.assert_close(layer.tau_mem_calculated, TAUS, check_dtype=False)
    torch.testing.assert_close(layer.alpha_mem_calculated, torch.exp(-1 / TAUS))
    if tau_syn is None:
        assert layer.tau_syn_calculated is layer.alpha_syn_calculated is None
    else:
        assert layer.tau_syn_calculated.item() == pytest.approx(3.0)
        assert layer.alpha_syn_calculated.item() == pytest.approx(math.exp(-1 / 3))
    layer.tau_mem_calculated.sum().backward()  # a term of a loss, say
    assert (layer.alpha_mem if train_alphas else layer.tau_mem).grad is not None


def test_a_membrane_without_a_leak_keeps_all_and_has_no_time_constant():
    assert IAF().alpha_mem_calculated == 1
    assert IAF().tau_mem_calculated is None
    assert ALIF(5.0, 9.0).alpha_adapt_calculated.item() == pytest.approx(math.exp(-1 / 9))


@pytest.mark.parametrize("layer", [StatefulLayer(["v_mem", "i_syn"]), LIF(5.0, 3.0), Leaky(0.9)], ids=repr)
def test_a_state_has_the_shape_of_nothing_before_the_first_input(layer):
    for _ in range(2):
        assert {getattr(layer, name).shape for name in layer.state_names} == {(0,)}
        layer.reset_states(randomize=True)
    layer.init_state_with_shape((4, 3))
    assert layer.is_state_initialised()


SPIKES = [
    (SingleSpike, [0.0, 1.0, 1.0, 1.0]),
    (StrictSpike, [0.0, 0.0, 1.0, 1.0]),
    (MultiSpike, [0.0, 1.0, 1.0, 3.0]),
    (MaxSpike(2), [0.0, 1.0, 1.0, 2.0]),
]


@pytest.mark.parametrize(("spike_fn", "expected"), SPIKES, ids=["SingleSpike", "StrictSpike", "MultiSpike", "MaxSpike"])
@pytest.mark.parametrize("threshold", [2, 2.0, torch.tensor(2.0)], ids=repr)
def test_a_spike_function_takes_a_threshold_of_any_kind(spike_fn, expected, threshold):
    state = {"v_mem": torch.tensor([-3.0, 2.0, 3.5, 7.0], requires_grad=True)}
    read = [state[name] for name in spike_fn.required_states]
    spikes = spike_fn.apply(*read, threshold, SingleExponential())
    assert spikes.tolist() == expected
    spikes.sum().backward()
    distance = torch.tensor([5.0, 0.0, 1.5, 5.0])  # the surrogate is exp(−|v − θ|/wθ)/wθ with w = 1/2
    torch.testing.assert_close(state["v_mem"].grad, torch.exp(-distance))


@pytest.mark.parametrize(
    ("reset_fn", "expected"),
    [
        (MembraneSubtract(), [0.25, 0.5]),
        (MembraneSubtract(torch.tensor([1.0, 3.0])), [1.25, 0.5]),
        (MembraneReset(-1.0), [-1.0, 0.5]),
        (NoReset(), [2.25, 0.5]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("threshold", [2.0, torch.tensor(2.0)], ids=repr)
def test_a_reset_function_takes_a_state_too(reset_fn, expected, threshold):
    state = {"v_mem": torch.tensor([2.25, 0.5]), "i_syn": torch.tensor([1.0, 2.0])}
    spikes = torch.tensor([1.0, 0.0])
    new = reset_fn(spikes, state, threshold)
    assert new["v_mem"].tolist() == expected == reset_fn(state["v_mem"], spikes, threshold).tolist()
    assert new["i_syn"] is state["i_syn"]
    assert state["v_mem"].tolist() == [2.25, 0.5]


class FiresOnInput(torch.autograd.Function):
    """A spike function of a user's own: it fires where the synapse's current is above θ, whatever the membrane has."""

    required_states = ("v_mem", "i_syn")

    @staticmethod
    def forward(ctx, v_mem, i_syn, spike_threshold, surrogate_grad_fn):
        return (i_syn > spike_threshold).to(v_mem.dtype)


def test_a_spike_function_gets_the_states_that_it_names():
    layer = LIF(5.0, tau_syn=-1 / math.log(0.5), spike_fn=FiresOnInput, reset_fn=NoReset())
    # i <- (i + I)/2 is 0.75, 1.375, 0.6875, 1.34375 for these; θ is 1.
    assert layer(torch.tensor([1.5, 2.0, 0.0, 2.0]).reshape(1, 4, 1)).flatten().tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="FiresOnInput reads the state 'i_syn'; the layer has v_mem"):
        LIF(5.0, spike_fn=FiresOnInput)


FRESH = {
    "IAF": lambda: IAF(2.0, tau_syn=9.0, v_init=0.0),
    "LIF": lambda: LIF(torch.tensor([1.0, 1.0]), 9.0, torch.tensor([2.0, 2.0]), min_v_mem=0.0),
    "LIF alphas": lambda: LIF(torch.tensor([1.0, 1.0]), train_alphas=True, norm_input=False),
    "ALIF": lambda: ALIF(1.0, 1.0, norm_input=False),
    "ExpLeak": lambda: ExpLeak(1.0),
    "LIFRecurrent": lambda: LIFRecurrent(1.0, nn.Linear(2, 2), norm_input=False),
}


@pytest.mark.parametrize("name", FRESH)
def test_a_checkpoint_of_sinabs_loads_and_goes_on_as_there(name):
    """Recorded by ``scripts/make_golden_traces.py``; Sinabs saves the states of its last batch too."""
    saved = {
        key.removeprefix(f"{name}/saved/"): GOLDEN[key] for key in GOLDEN.files if key.startswith(f"{name}/saved/")
    }
    assert "v_mem" in saved
    model = nn.Sequential(nn.Identity(), FRESH[name]().double())
    given = {f"1.{key}": torch.from_numpy(value) for key, value in saved.items()}
    model.load_state_dict(given)
    assert "1.v_mem" in given  # what the caller holds stays as it is
    x = torch.from_numpy(np.load(Path(__file__).parent / "golden" / "currents.npz")["two"])
    with torch.no_grad():
        np.testing.assert_allclose(model(x), GOLDEN[f"{name}/spikes"], rtol=1e-5, atol=1e-5)


def test_a_checkpoint_that_lacks_a_time_constant_is_refused_all_the_same():
    saved = {"v_mem": torch.zeros(0), "spike_threshold": torch.tensor(1.0)}
    with pytest.raises(RuntimeError, match=r"Missing key.*tau_mem"):
        LIF(5.0).load_state_dict(saved)
    with pytest.raises(RuntimeError, match=r"Missing key.*v_init"):
        IAF().load_state_dict({"spike_threshold": torch.tensor(1.0)})


def test_a_new_batch_size_reaches_every_squeeze_form_and_starts_it_anew():
    model = nn.Sequential(IAFSqueeze(batch_size=2), nn.Linear(3, 3), nn.Sequential(ExpLeakSqueeze(2, tau_mem=5.0)))
    model(currents().flatten(0, 1))
    with torch.no_grad():
        set_batch_size(model, 3)
        model(currents(3).flatten(0, 1))
    assert model[0].shape == model[2][0].shape == (3, 3)
    v_mem = model[0].v_mem
    set_batch_size(model, 3)
    assert model[0].v_mem is v_mem  # nothing has changed
    with pytest.raises(ValueError, match="batch_size must be a whole number, 1 or more, got 0"):
        set_batch_size(model, 0)
