"""Half precision, autocast and inference mode change no result."""

import copy
import io

import pytest
import torch
from torch import nn

from respike.layers import (
    ALIF,
    IAF,
    LIF,
    Alpha,
    ExpLeak,
    IAFRecurrent,
    IAFSqueeze,
    Lapicque,
    Leaky,
    LIFRecurrent,
    RLeaky,
    TextbookLIF,
)


def currents(batch=2, steps=12, seed=0):
    return torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(seed)) + 0.6


def connection():
    torch.manual_seed(0)
    return nn.Linear(3, 3)


def recurrent():
    torch.manual_seed(0)
    return RLeaky(0.75, linear_features=3)


LAYERS = {
    "IAF": lambda: IAF(v_init=0.5),
    "LIF": lambda: LIF(5.0, tau_syn=2.0, norm_input=False),
    "LIF per neuron": lambda: LIF(torch.tensor([2.0, 5.0, 9.0]), spike_threshold=torch.tensor([0.5, 0.75, 1.0])),
    "ALIF": lambda: ALIF(5.0, 9.0, norm_input=False),
    "ExpLeak": lambda: ExpLeak(5.0),
    "IAFRecurrent": lambda: IAFRecurrent(connection()),
    "LIFRecurrent": lambda: LIFRecurrent(5.0, connection(), norm_input=False),
    "Leaky": lambda: Leaky(0.75),
    "Lapicque": lambda: Lapicque(0.75),
    "Alpha": lambda: Alpha(0.75, 0.5),
    "RLeaky": recurrent,
    "TextbookLIF": lambda: TextbookLIF(5.0),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
half_or_less = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)


@half_or_less
@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: IAF(0.75), 2),
        (lambda: IAF(torch.full((1,), 0.75)), 2),
        (lambda: LIF(1e9, norm_input=False), 1),
    ],
    ids=["IAF", "per neuron", "LIF"],
)
def test_small_currents_add_up_in_half_precision(dtype, build, count):
    """1/512 a step for 1,000 steps is 1.95: twice 0.75. In bfloat16 itself 0.5 + 1/512 is 0.5."""
    assert build()(torch.full((1, 1000, 1), 1 / 512, dtype=dtype)).sum() == count


@half_or_less
@every_layer
def test_half_precision_rounds_input_and_output_only(name, dtype):
    layer, x = LAYERS[name](), currents().to(dtype)
    output = layer(x)
    assert output.dtype == dtype
    assert {getattr(layer, state).dtype for state in layer.state_names} == {torch.float32}
    assert torch.equal(output, LAYERS[name]()(x.float()).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@every_layer
def test_a_layer_converted_as_a_whole_takes_its_own_kind_and_float32(name, dtype):
    layer = LAYERS[name]().to(dtype)
    for x in (currents().to(dtype), currents()):
        assert layer(x).dtype == x.dtype
        layer.to(dtype)  # in the middle of a run
        assert layer(x).dtype == x.dtype
        layer.reset_states()


@every_layer
def test_autocast_leaves_the_states_their_precision(name):
    layer, weights, x = LAYERS[name](), connection(), currents()
    with torch.autocast("cpu", torch.bfloat16):
        drive = weights(x)
        output = layer(drive)
    assert drive.dtype == output.dtype == torch.bfloat16
    assert {getattr(layer, state).dtype for state in layer.state_names} == {torch.float32}
    if "R" not in name:  # those have a product of their own, which autocast rounds
        assert torch.equal(output, LAYERS[name]()(drive.float()).bfloat16())


@every_layer
@pytest.mark.parametrize("how", ["goes on", "reset inside", "reset after"])
def test_training_goes_on_from_states_made_in_inference_mode(name, how):
    layer, like, x = LAYERS[name](), LAYERS[name](), currents()
    with torch.inference_mode():
        layer(x)
        if how == "reset inside":
            layer.reset_states()
    if how == "reset after":
        layer.reset_states()
    if how == "goes on":
        with torch.no_grad():
            like(x)
    drive = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(drive[0]), like(drive[1])]
    assert torch.equal(*outputs)
    for output in outputs:
        output.sum().backward()
    assert torch.equal(drive[0].grad, drive[1].grad)
    assert drive[0].grad.any()


@every_layer
def test_a_used_layer_is_saved_whole_and_goes_on(name):
    layer, file = LAYERS[name](), io.BytesIO()
    layer(currents())
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(currents(seed=1)), copy.deepcopy(layer)(currents(seed=1)))


@every_layer
def test_nothing_is_made_of_nothing(name):
    for shape in [(0, 4, 3), (2, 0, 3), (0, 0, 3)]:
        layer = LAYERS[name]()
        layer.record_states = True
        for _ in range(2):
            assert layer(torch.zeros(shape)).shape == shape
            assert {recorded.shape for recorded in layer.recordings.values()} == {shape}
            assert set(layer.recordings) == set(layer.state_names)


def test_an_empty_batch_leaves_no_states_behind():
    layer = IAF()
    layer(torch.zeros(0, 4))
    assert not layer.is_state_initialised()
    assert layer(torch.zeros(3, 4)).shape == (3, 4)


@every_layer
def test_the_order_in_memory_changes_nothing(name):
    x = currents()
    elsewhere = [x.transpose(0, 2).contiguous().transpose(0, 2), x.repeat_interleave(2, 1)[:, ::2]]
    for same in elsewhere:
        assert not same.is_contiguous()
        assert torch.equal(LAYERS[name]()(same), LAYERS[name]()(x))


def test_states_follow_the_input_to_another_device_after_a_reset():
    layer = IAF(shape=(2, 3))
    assert layer(currents().to("meta")).device.type == "meta"
    layer.reset_states()
    assert torch.equal(layer(currents()), IAF()(currents()))


def test_squeeze_forms_take_half_precision_too():
    x = currents().flatten(0, 1).bfloat16()
    layer = IAFSqueeze(batch_size=2)
    assert layer(x).dtype == torch.bfloat16
    assert layer.v_mem.dtype == torch.float32
