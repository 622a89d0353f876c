"""Traces and gradients that other libraries made themselves: ``scripts/make_golden_traces.py`` wrote them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from respike import layers
from respike.layers import (
    IAF,
    ATan,
    ExpLeak,
    FastSigmoid,
    LeakySpikeOperator,
    MembraneReset,
    Sigmoid,
    SparseFastSigmoid,
    StraightThroughEstimator,
    StrictSpike,
    TextbookLIF,
)

GOLDEN = Path(__file__).parent / "golden"
CASES = json.loads((GOLDEN / "cases.json").read_text())
ENCODERS = CASES.pop("encoders")
NAMED = [(peer, name) for peer, cases in CASES.items() for name in cases]
SURROGATES = {
    "atan": ATan,
    "fast_sigmoid": FastSigmoid,
    "sigmoid": Sigmoid,
    "straight_through_estimator": StraightThroughEstimator,
    "SFS": SparseFastSigmoid,
    "heaviside": lambda: LeakySpikeOperator(0.0),
}


@pytest.fixture(autouse=True)
def _float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def golden():
    return {peer.stem: dict(np.load(peer)) for peer in GOLDEN.glob("*.npz")}


def of(golden, peer, name):
    """Arrays of one case, without its name."""
    found = {k.removeprefix(f"{name}/"): v for k, v in golden[peer].items() if k.startswith(f"{name}/")}
    assert found
    return found


def built(case, values):
    """The class of the peer's name with the peer's arguments, and its weights."""
    arguments = {
        name: (tuple(v) if isinstance(v[0], int) else torch.tensor(v)) if isinstance(v, list) else v
        for name, v in case["arguments"].items()
    }
    if "surrogate" in case:
        kind, *numbers = case["surrogate"]
        arguments["spike_grad"] = SURROGATES[kind](*numbers)
    if case["neuron"] == "ALIFRecurrent":
        arguments["rec_connect"] = nn.Linear(2, 2, bias=False)
    layer = getattr(layers, case["neuron"])(**arguments, record_states=True)
    own = dict(layer.named_parameters())
    for name, value in values.items():
        if name.startswith("value/") and "rec" in name and not name.endswith(".V"):
            own[name.removeprefix("value/")].data.copy_(torch.from_numpy(value))
    return layer


def close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("peer", "name"), NAMED, ids=[name for _, name in NAMED])
def test_spikes_states_and_gradients_are_the_peers(golden, peer, name):
    case, values = CASES[peer][name], of(golden, peer, name)
    layer = built(case, values)
    x = torch.from_numpy(golden["currents"]["maps" if case.get("maps") else "two"]) * case.get("scale", 1.0)
    x.requires_grad_()
    spikes = layer(x)
    assert 0.01 < np.mean(values["spikes"] > 0) < 0.99
    close(spikes, values["spikes"])
    states = {key.removeprefix("state/"): value for key, value in values.items() if key.startswith("state/")}
    assert states
    for state, value in states.items():
        close(layer.recordings[state], value)
    (spikes * torch.linspace(-1.0, 1.0, 200).reshape(1, -1, *[1] * (spikes.dim() - 2))).sum().backward()
    close(x.grad[:, -8:], values["grad_input"])
    theirs = {k.removeprefix("grad/").removeprefix("recurrent.V") or "V": v for k, v in values.items() if "grad/" in k}
    ours = {key: p.grad for key, p in layer.named_parameters() if p.grad is not None}
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        close(ours[key], value)


def hard_iaf():
    return IAF(1.0, StrictSpike, MembraneReset())


NORSE = {  # how a layer of ours is set up like theirs, and the gain of its input
    "LIFBox": (lambda: TextbookLIF(20e-3, 1.0, v_rest=0.5, v_reset=0.25, dt=1e-3), 4.0),
    "LIFRefrac": (lambda: TextbookLIF(20e-3, 1.0, t_ref=5e-3, dt=1e-3), 10.0),
    "IAF": (hard_iaf, 1.0),
    "LIBox": (lambda: ExpLeak(-1 / math.log(0.9), norm_input=True), 1.0),
}


@pytest.mark.parametrize("name", NORSE)
def test_spikes_and_potentials_are_those_of_norse(golden, name):
    build, gain = NORSE[name]
    layer, values = build(), of(golden, "norse", name)
    layer.record_states = True
    x = gain * torch.from_numpy(golden["currents"]["two"])
    close(layer(x), values["spikes"])
    close(layer.recordings["v_mem"], values["state/v_mem"])


def membrane(dt, integration, t_ref, **kwargs):
    """−65 mV at rest, 90 MΩ, threshold −50 mV, reset to −70 mV."""
    return TextbookLIF(20.0, -50.0, 90.0, -65.0, -70.0, t_ref, dt, integration, record_states=True, **kwargs)


@pytest.mark.parametrize(("method", "integration"), [("euler", "euler"), ("exact", "exponential")])
def test_spikes_and_potentials_are_those_of_brian(golden, method, integration):
    """Theirs of 4 ms: they count the timestep that fires into the refractory period."""
    values, layer = of(golden, "brian2", method), membrane(1.0, integration, t_ref=3.0)
    spikes = layer(torch.from_numpy(golden["currents"]["four"]))
    close(spikes, values["spikes"])
    close(layer.recordings["v_mem"], values["state/v_mem"])


def test_as_dt_goes_to_zero_the_traces_are_those_of_an_ode_solver(golden):
    """Spikes wait for the end of their timestep, so that times and potentials are off by the order of dt."""
    drive = torch.from_numpy(golden["currents"]["four"])
    cases = [of(golden, "ode", f"neuron {k}") for k in range(4)]
    potentials = np.stack([case["v_mem"] for case in cases], 1)
    errors = {}
    for steps in (10, 100):
        layer = membrane(1 / steps, "exponential", t_ref=4.0)
        spikes = layer(drive.repeat_interleave(steps, 1))[0]
        for k, case in enumerate(cases):
            times = (torch.nonzero(spikes[:, k])[:, 0] + 1) / steps
            assert len(times) == len(case["times"]) > 5
            late = times.numpy() - case["times"]
            assert late.min() > -1e-9 and late.max() < 2.5 / steps
        errors[steps] = np.abs(layer.recordings["v_mem"][0, steps - 1 :: steps].numpy() - potentials).mean()
    assert errors[100] < errors[10] / 5 < 0.02


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_give_the_spikes_of_snntorch(golden, name):
    kind, data = ENCODERS[name]["encoder"], of(golden, "encoders", "data")
    spikes = getattr(layers.encoders, kind)(torch.from_numpy(data[kind]), **ENCODERS[name]["arguments"])
    expected = of(golden, "encoders", name)["spikes"]
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(spikes, expected)
