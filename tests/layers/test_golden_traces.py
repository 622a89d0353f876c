"""Traces, gradients and signatures recorded from Sinabs 3.1.0."""

import inspect

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
    MembraneSubtract,
    MultiSpike,
    SingleExponential,
    SingleSpike,
)


def connection():
    linear = nn.Linear(2, 2, bias=False)
    linear.weight.data = torch.tensor([[0.25, -0.5], [0.75, -0.25]])
    return linear


LAYERS = {
    "IAF": lambda: IAF(0.5),
    "IAF bound": lambda: IAF(1.0, SingleSpike, min_v_mem=-0.125),
    "IAF synapse": lambda: IAF(0.5, MaxSpike(2), tau_syn=3.0),
    "LIF": lambda: LIF(5.0, spike_threshold=0.25),
    "LIF hard": lambda: LIF(5.0, None, 1.0, SingleSpike, MembraneReset(), norm_input=False),
    "LIF synapse": lambda: LIF(8.0, 2.0, norm_input=False, min_v_mem=0.0),
    "LIF subtract": lambda: LIF(8.0, None, 1.0, MaxSpike(2), MembraneSubtract(0.75), norm_input=False),
    "IAFRecurrent": lambda: IAFRecurrent(connection()),
    "LIFRecurrent": lambda: LIFRecurrent(6.0, connection(), norm_input=False, spike_threshold=0.75),
    "LIFRecurrent synapse": lambda: LIFRecurrent(
        6.0, connection(), tau_syn=2.0, spike_fn=SingleSpike, norm_input=False
    ),
}
SPIKES = {  # one digit a step; rows are (batch, neuron)
    "IAF": "011101001220 110121220211 020202102111 000000012013",
    "IAF bound": "001001001010 010011110101 010101001101 000000001101",
    "IAF synapse": "002121211222 021222222222 021222222222 000000012222",
    "LIF": "000000001010 000010100100 000100100100 000000001001",
    "LIF hard": "001000001010 010010100100 010001001010 000000001001",
    "LIF synapse": "001010010110 010011111111 001101101110 000000001101",
    "LIF subtract": "001000100110 010011110110 010101101100 000000001011",
    "IAFRecurrent": "000100000010 010020100111 010101100001 000010111001",
    "LIFRecurrent": "000100000010 010030100111 011100100110 000110020022",
    "LIFRecurrent synapse": "000100000000 001011110110 001101101100 000001011111",
}
V_MEM = {  # after the last step
    "IAF": [0.09375, 0.078125, 0.140625, 0.140625],
    "IAF bound": [0.71875, 0.078125, 0.140625, 0.75],
    "IAF synapse": [1.030738, 3.85819, 2.035699, 0.748239],
    "LIF": [0.031129, 0.206584, 0.138513, 0.083507],
    "LIF hard": [-0.078125, 0.881042, 0.28125, 0.0],
    "LIF synapse": [0.869122, 0.040493, 0.855344, 0.803891],
    "LIF subtract": [0.772577, 0.896571, 0.967772, 0.988471],
    "IAFRecurrent": [0.09375, 0.078125, 0.140625, 0.640625],
    "LIFRecurrent": [-0.052907, 0.259027, -0.36243, 0.153849],
    "LIFRecurrent synapse": [0.5846, 0.646189, 0.691937, 1.417873],
}
INPUT_GRAD = {  # of the first two steps of the second sample
    "IAF": [-1.085824, -0.464821, -0.770878, -0.078512],
    "IAF bound": [-0.447885, -0.280292, -0.366383, -0.168688],
    "IAF synapse": [-0.831127, 0.159001, -0.258581, 0.708993],
    "LIF": [-0.320204, -0.163567, -0.341842, -0.086885],
    "LIF hard": [-0.641065, -0.069099, -0.410491, 0.12132],
    "LIF synapse": [-0.51592, -0.188295, -0.382114, -0.05993],
    "LIF subtract": [-0.515655, -0.216215, -0.440022, -0.072455],
    "IAFRecurrent": [-0.718441, -0.173621, -0.605896, -0.185243],
    "LIFRecurrent": [-0.976132, -0.093954, -0.807793, -0.113426],
    "LIFRecurrent synapse": [-1.06535, -0.235355, -0.869825, -0.320364],
}
PARAMETER_GRADS = {
    "IAF": {},
    "IAF bound": {},
    "IAF synapse": {"tau_syn": [0.799416]},
    "LIF": {"tau_mem": [-0.592429]},
    "LIF hard": {"tau_mem": [0.215397]},
    "LIF synapse": {"tau_mem": [0.062932], "tau_syn": [5.996682]},
    "LIF subtract": {"tau_mem": [0.162494]},
    "IAFRecurrent": {"rec_connect.weight": [0.784622, 6.315092, 0.917239, 0.681177]},
    "LIFRecurrent": {"tau_mem": [-0.008397], "rec_connect.weight": [1.546488, 8.478216, 0.780774, 0.236363]},
    "LIFRecurrent synapse": {
        "tau_mem": [0.049832],
        "tau_syn": [1.035441],
        "rec_connect.weight": [5.245765, 11.527504, -1.499592, -0.35875],
    },
}


def currents():
    k = torch.arange(2 * 12 * 2)
    return ((37 * k * k + 11 * k) % 97 / 64 - 0.25).reshape(2, 12, 2).requires_grad_()


def golden(values):
    return pytest.approx(values, rel=2e-6, abs=2e-6)  # recorded with six decimals, in float32


@pytest.mark.parametrize("name", LAYERS)
def test_spikes_states_and_gradients_are_those_of_sinabs(name):
    layer, x = LAYERS[name](), currents()
    spikes = layer(x)
    assert ["".join(str(int(s)) for s in row) for row in spikes.mT.flatten(0, 1).tolist()] == SPIKES[name].split()
    assert layer.v_mem.flatten().tolist() == golden(V_MEM[name])
    (spikes * (torch.arange(12.0)[:, None] / 8 - 0.5)).sum().backward()
    assert x.grad[1, :2].flatten().tolist() == golden(INPUT_GRAD[name])
    grads = {n: p.grad.flatten().tolist() for n, p in layer.named_parameters() if p.grad is not None}
    assert grads == {n: golden(values) for n, values in PARAMETER_GRADS[name].items()}


def test_the_leaky_integrator_is_that_of_sinabs():
    layer = ExpLeak(4.0)
    output = layer(currents())[0, :, 0].tolist()
    assert output[:6] == golden([-0.25, 0.695925, 1.135737, 1.259513, 1.215284, 1.11834])
    assert output[6:] == golden([1.058464, 1.105582, 1.314153, 1.726589, 2.375919, 1.772242])


LIF_ARGUMENTS = "tau_mem tau_syn spike_threshold spike_fn reset_fn surrogate_grad_fn min_v_mem train_alphas shape"
IAF_ARGUMENTS = "spike_threshold spike_fn reset_fn surrogate_grad_fn tau_syn min_v_mem shape record_states"
FIRING = {"spike_threshold": 1.0, "spike_fn": MultiSpike, "reset_fn": MembraneSubtract()}
FIRING |= {"surrogate_grad_fn": SingleExponential(), "tau_syn": None, "min_v_mem": None, "record_states": False}


@pytest.mark.parametrize(
    ("layer", "positional", "defaults"),
    [
        (LIF, f"{LIF_ARGUMENTS} norm_input record_states", FIRING | {"norm_input": True, "train_alphas": False}),
        (IAF, IAF_ARGUMENTS, FIRING),
        (ExpLeak, "tau_mem shape train_alphas min_v_mem norm_input record_states", {"norm_input": False}),
    ],
)
def test_arguments_and_defaults_are_those_of_sinabs(layer, positional, defaults):
    parameters = inspect.signature(layer).parameters
    assert [name for name, p in parameters.items() if p.kind is not p.KEYWORD_ONLY] == positional.split()
    assert {name: parameters[name].default for name in defaults} == defaults
