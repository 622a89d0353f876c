"""Recurrent forms against a loop over timesteps, squeeze forms against the plain ones."""

import pytest
import torch
from torch import nn

from respike.layers import (
    IAF,
    LIF,
    ExpLeak,
    ExpLeakSqueeze,
    IAFRecurrent,
    IAFSqueeze,
    LIFRecurrent,
    LIFSqueeze,
    MaxSpike,
    MembraneReset,
    SingleSpike,
)

BATCH, STEPS = 3, 8
SQUEEZED = {
    "IAF": (IAF, IAFSqueeze, {"v_init": 0.5, "spike_fn": SingleSpike, "tau_syn": 2.0}),
    "LIF": (LIF, LIFSqueeze, {"tau_mem": 5.0, "norm_input": False, "reset_fn": MembraneReset()}),
    "ExpLeak": (ExpLeak, ExpLeakSqueeze, {"tau_mem": 5.0, "min_v_mem": -0.25}),
}
every_squeezed = pytest.mark.parametrize(("plain", "squeezed", "settings"), SQUEEZED.values(), ids=SQUEEZED)


def currents(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


@every_squeezed
@pytest.mark.parametrize(
    "sizes", [{"batch_size": BATCH}, {"num_timesteps": STEPS}, {"batch_size": 3, "num_timesteps": 8}]
)
@pytest.mark.parametrize("trailing", [(), (4,), (2, 3, 3)])
def test_a_squeeze_form_is_the_plain_form_of_the_reshaped_input(plain, squeezed, settings, sizes, trailing):
    layer, reference = squeezed(**sizes, **settings, record_states=True), plain(**settings, record_states=True)
    for seed in range(2):  # states go on
        x = currents(BATCH * STEPS, *trailing, seed=seed)
        expected = reference(x.reshape(BATCH, STEPS, *trailing))
        assert torch.equal(layer(x), expected.reshape(x.shape))
        assert torch.equal(layer.recordings["v_mem"], reference.recordings["v_mem"])
    assert torch.equal(layer.v_mem, reference.v_mem)


@every_squeezed
@pytest.mark.parametrize("sizes", [{"batch_size": 5}, {"num_timesteps": 7}, {"batch_size": 3, "num_timesteps": 9}])
def test_rows_that_do_not_divide_are_an_error(plain, squeezed, settings, sizes):
    with pytest.raises(
        ValueError, match=rf"{squeezed.__name__} cannot split 24 rows into batch_size=.* x num_timesteps"
    ):
        squeezed(**sizes, **settings)(currents(24, 4))


@every_squeezed
def test_a_squeeze_form_needs_a_size(plain, squeezed, settings):
    with pytest.raises(ValueError, match=f"{squeezed.__name__} needs batch_size or num_timesteps"):
        squeezed(**settings)


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"num_timesteps": 0}, {"batch_size": -1}, {"num_timesteps": -2}])
def test_sizes_below_one_are_an_error(sizes):
    with pytest.raises(ValueError, match=f"IAFSqueeze.*{next(iter(sizes))}"):
        IAFSqueeze(**sizes)(currents(24, 4))


def test_squeeze_forms_fit_between_convolutions():
    torch.manual_seed(0)
    convolutions = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 2, 3)
    x = currents(BATCH * STEPS, 2, 6, 6)
    with torch.no_grad():
        spikes = nn.Sequential(convolutions[0], IAFSqueeze(batch_size=BATCH, v_init=0.5), convolutions[1])(x)
        hidden = convolutions[0](x).reshape(BATCH, STEPS, 4, 4, 4)
        assert torch.equal(spikes, convolutions[1](IAF(v_init=0.5)(hidden).flatten(0, 1)))


def connections():
    torch.manual_seed(0)
    return {
        "linear": (nn.Linear(4, 4), (4,)),
        "image": (nn.Sequential(nn.Flatten(), nn.Linear(8, 8)), (2, 2, 2)),
        "convolution": (nn.Conv2d(2, 2, 3, padding=1), (2, 3, 3)),
    }


@pytest.mark.parametrize("name", connections())
@pytest.mark.parametrize(
    ("recurrent", "plain"),
    [
        (lambda c: IAFRecurrent(c, v_init=0.5), lambda: IAF(v_init=0.5)),
        (
            lambda c: IAFRecurrent(rec_connect=c, spike_fn=SingleSpike, tau_syn=2.0),
            lambda: IAF(1.0, SingleSpike, tau_syn=2.0),
        ),
        (
            lambda c: LIFRecurrent(5.0, c, norm_input=False, spike_fn=MaxSpike(2), min_v_mem=-0.5),
            lambda: LIF(5.0, norm_input=False, spike_fn=MaxSpike(2), min_v_mem=-0.5),
        ),
        (lambda c: LIFRecurrent(tau_mem=2.0, rec_connect=c), lambda: LIF(2.0)),
    ],
    ids=["IAF", "IAF synapse", "LIF", "LIF norm_input"],
)
def test_a_recurrent_form_is_a_loop_that_feeds_spikes_back(name, recurrent, plain):
    connect, trailing = connections()[name]
    layer, step = recurrent(connect), plain()
    with torch.no_grad():
        for seed in range(2):  # no feedback from one call's last step to the next call
            x, feedback, expected = currents(BATCH, STEPS, *trailing, seed=seed), 0, []
            for t in range(STEPS):
                expected.append(step((x[:, t] + feedback).unsqueeze(1))[:, 0])
                feedback = connect(expected[-1]).reshape(BATCH, *trailing)
            assert torch.stack(expected).any()
            assert torch.equal(layer(x), torch.stack(expected, 1))
            assert torch.equal(layer.v_mem, step.v_mem)


def test_silent_connections_change_nothing():
    connect = nn.Linear(4, 4, bias=False)
    nn.init.zeros_(connect.weight)
    x = currents(BATCH, STEPS, 4)
    assert torch.equal(IAFRecurrent(connect)(x), IAF()(x))
