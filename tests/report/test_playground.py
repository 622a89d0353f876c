"""The arithmetic of the playground, in a browser, is the library's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from driving import ask

from respike import layers
from respike.layers import MembraneReset, MembraneSubtract, MultiSpike, NoReset, SingleSpike, transfer_curve
from respike.layers.curves import stimuli

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.slow

MODELS = (
    "IAF ConstantLeakIAF LIF ALIF TextbookLIF Lapicque Leaky RLeaky Synaptic RSynaptic Stein Alpha SRM0 ExpLeak"
).split()


@pytest.fixture
def double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def layer(model: str, parameters: dict[str, Any]) -> layers.SpikingLayer:
    """The library's neuron for the page's parameters."""
    p = dict(parameters)
    reset, value = p.pop("reset", None), p.pop("reset_value", 0.0)
    if "spikes" in p:
        p["spike_fn"] = {"single": SingleSpike, "multi": MultiSpike}[p.pop("spikes")]
        known = {"subtract": MembraneSubtract(), "zero": MembraneReset(), "value": MembraneReset(value)}
        p["reset_fn"] = known.get(reset, NoReset())
        if p.pop("half_start", False):
            p["v_init"] = p["spike_threshold"] / 2
    elif reset is not None:
        p["reset_mechanism"] = value if reset == "value" and model != "TextbookLIF" else reset
    if "V" in p:
        p["all_to_all"] = False
    return getattr(layers, model)(**p, record_states=True)


def drawn(rng: random.Random, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Values that the controls can be set to."""

    def one(of: dict[str, Any]) -> Any:
        if of["kind"] == "range":
            return round(of["min"] + of["step"] * rng.randint(0, round((of["max"] - of["min"]) / of["step"])), 6)
        return rng.choice(list(of["options"])) if of["kind"] == "choice" else rng.random() < 0.5

    return {of["name"]: one(of) for of in parameters}


def stimulus(rng: random.Random, current: dict[str, float]) -> dict[str, Any]:
    kind = rng.choice(["step", "pulse", "train", "noise"])
    amplitude = round(rng.uniform(current["value"], current["max"]), 4)
    more = {"start": 7, "width": 5, "period": 13} if kind in ("step", "pulse") else {"seed": rng.randint(1, 50)}
    return {"kind": kind, "timesteps": 200, "amplitude": amplitude, "chance": 0.3, "spread": amplitude, **more}


def test_traces_of_every_model_are_the_librarys(page: Chrome, double: None) -> None:
    models = ask(page, "respike.models")
    assert set(models) == set(MODELS)
    rng = random.Random(0)
    wanted = []
    for model, about in models.items():
        for _ in range(16):
            drive = stimulus(rng, about["current"])
            wanted.append({"model": model, "parameters": drawn(rng, about["parameters"]), "stimulus": drive})
    found = ask(page, "arguments[0].map(respike.trace)", wanted)
    fired = dict.fromkeys(models, 0)
    for settings, trace in zip(wanted, found, strict=True):
        neuron = layer(settings["model"], settings["parameters"])
        currents = torch.tensor(trace["currents"]).reshape(1, -1, 1)
        spikes = neuron(currents).flatten()
        states = {name: value.flatten() for name, value in neuron.recordings.items()}
        assert set(trace["states"]) == set(states)
        for name, values in states.items():
            there = torch.tensor(trace["states"][name], dtype=torch.float64)
            torch.testing.assert_close(there, values, rtol=1e-9, atol=1e-9, msg=lambda m, s=settings: f"{s}: {m}")
        torch.testing.assert_close(torch.tensor(trace["spikes"], dtype=torch.float64), spikes, rtol=1e-9, atol=1e-9)
        assert trace["membrane"] == trace["states"][neuron.membrane]
        if settings["model"] == "ALIF":
            theta = settings["parameters"]["spike_threshold"]
            assert trace["threshold"] == [theta, *trace["states"]["spike_threshold"][:-1]]
        fired[settings["model"]] += bool(spikes.any())
    assert min(fired.values()) >= 8, fired


def test_stimuli_are_the_librarys_and_noise_hangs_on_its_seed_alone(page: Chrome, double: None) -> None:
    def currents(**settings: Any) -> torch.Tensor:
        code = "respike.trace({model: 'IAF', stimulus: arguments[0]}).currents"
        return torch.tensor(ask(page, code, {"timesteps": 60, "amplitude": 0.7} | settings), dtype=torch.float64)

    assert torch.equal(currents(kind="step", start=9), stimuli.step(60, 0.7, 9).flatten())
    pulses = currents(kind="pulse", start=4, width=3, period=11)
    assert torch.equal(pulses, stimuli.pulse(60, 0.7, 4, 3, 11).flatten())
    train = currents(kind="train", chance=0.3, seed=5, timesteps=5000)
    times = train.nonzero().flatten().tolist()
    assert torch.equal(train, stimuli.spike_train(5000, times, 0.7).flatten())
    assert abs(len(times) / 5000 - 0.3) < 0.02
    noise = [currents(kind="noise", spread=0.5, seed=seed, timesteps=5000) for seed in (1, 1, 2)]
    assert torch.equal(noise[0], noise[1]) and not torch.equal(noise[0], noise[2])
    assert abs(noise[0].mean() - 0.7) < 0.03 and abs(noise[0].std() - 0.5) < 0.03


def test_curves_of_every_model_are_the_librarys(page: Chrome, double: None) -> None:
    rng, wanted = random.Random(1), []
    for model, about in ask(page, "respike.models").items():
        scale = about["current"]["value"]
        currents = [scale * rng.uniform(-1, 8) for _ in range(41)]
        for timesteps in (1, 8, 33):
            parameters = drawn(rng, about["parameters"])
            wanted.append({"model": model, "parameters": parameters, "currents": currents, "timesteps": timesteps})
    for settings, found in zip(wanted, ask(page, "arguments[0].map(respike.curve)", wanted), strict=True):
        neuron = layer(settings["model"], settings["parameters"])
        rates = transfer_curve(neuron, torch.tensor(settings["currents"]), settings["timesteps"])
        there = torch.tensor(found["rates"], dtype=torch.float64)
        torch.testing.assert_close(there, rates, rtol=1e-9, atol=1e-9, msg=lambda m, s=settings: f"{s}: {m}")


def test_the_defaults_do_what_the_textbook_says(page: Chrome) -> None:
    def spikes(model: str, amplitude: float) -> list[int]:
        drive = {"kind": "step", "timesteps": 100, "start": 0, "amplitude": amplitude}
        found = ask(page, "respike.trace(arguments[0]).spikes", {"model": model, "stimulus": drive})
        return [t for t, s in enumerate(found, 1) if s]

    assert spikes("TextbookLIF", 11) == [47, 94]
    assert spikes("IAF", 0.025) == [40, 80]
    wanted = {"model": "IAF", "parameters": {"half_start": True}, "timesteps": 8, "currents": [-1, 0.6, 3]}
    assert ask(page, "respike.curve(arguments[0]).rates", wanted) == [0, 0.625, 1]
