"""Every option of every public function with values of wrong types and out of range: one error that names it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert import checks
from respike.convert.options import NAMED, NeuronOptions, Options, threshold_of
from respike.evaluation import diagnose, evaluate_exit, merge

X = torch.rand(12, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


class Odd:
    """Nothing that any option takes."""


WHOLE: list[Any] = ["8", 2.5, None, True, [4], torch.tensor([1.0, 2.0]), np.array([1, 2]), float("nan"), Odd()]
NUMBER: list[Any] = ["1", None, True, [1.0], float("nan"), float("inf"), torch.rand(3), 1j, Odd()]
WORD: list[Any] = ["no such word", 1, None, True, ["mse"], {}, Odd()]
FLAG: list[Any] = ["yes", 1, 0.0, [], Odd()]
CALL: list[Any] = [1, "print", [], Odd()]
NAMES: list[Any] = [1, None, [1], {"a": 1}, Odd()]
FILE: list[Any] = [1, None, "", b"net", [], "a\0b", Odd()]
SAMPLES: list[Any] = [None, 3, "mnist", Odd()]
MODULE: list[Any] = ["model", 3, nn.Linear, Odd()]

FROM_TORCH: dict[str, list[Any]] = {
    "model": [*MODULE, None],
    "calibration": SAMPLES,
    "timesteps": [*WHOLE, 0, -1, 65_537, "fast", respike.MSE()],
    "threshold": [*WORD, respike.Pipelined(), respike.Percentile],
    "neuron": [*WORD, respike.MSE(), nn.ReLU()],
    "max_spikes": [*WHOLE, 0, 65_537],
    "schedule": [*WORD, respike.MSE()],
    "correction": WORD,
    "precision": WORD,
    "population": [*(x for x in WHOLE if x is not None), 0, 65],
    "analog": NAMES,
    "samples": [*WHOLE, 0],
    "seed": [*WHOLE, 2**63, -(2**70)],
    "memory_budget": [*(x for x in WHOLE if x is not None), 0, -1],
    "progress": CALL,
    "resume": [x for x in FILE if x is not None],
}


@pytest.fixture(scope="module")
def snn() -> respike.SpikingNetwork:
    return respike.from_torch(net(), X, 3)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()


def from_onnx(**options: Any) -> Any:
    fixture = Path(__file__).parent / "onnx_import" / "fixtures" / "keras_mlp.onnx"
    return respike.from_onnx(**{"path": fixture, "calibration": X, **options})


VALUES: dict[type[Any], dict[str, list[Any]]] = {
    respike.Auto: {"within": [*(x for x in NUMBER if x is not None), -1, 100], "prefer": WORD, "judge": WORD},
    respike.MSE: {"granularity": WORD},
    respike.Max: {"granularity": WORD},
    respike.Percentile: {"granularity": WORD, "percentile": [*NUMBER, 0, 101]},
    respike.Pipelined: {"delay": [*WHOLE, -1, 65_537]},
    respike.LIF: {"tau_mem": [*NUMBER, 0, -1]},
    respike.MultiThreshold: {"levels": [*WHOLE, 0, 9]},
    respike.Encoding: {
        "encoder": WORD,
        "seed": [*WHOLE, 2**63],
        "scale": [*(x for x in NUMBER if x is not None), 0, -1],
        "start": [*NUMBER, -0.1, 1],
        "threshold": [*NUMBER, 0],
        "unit": [*FLAG, None],
    },
}


FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, list[Any]]]] = {
    "from_torch": (lambda s, **o: respike.from_torch(**{"model": net(), "calibration": X, **o}), FROM_TORCH),
    "from_onnx": (lambda s, **o: from_onnx(**o), {"path": FILE, "outputs": [1, [1], Odd()]}),
    "load": (lambda s, **o: respike.load(**o), {"path": FILE}),
    "save": (lambda s, **o: s.save(**o), {"path": FILE}),
    "evaluate": (
        lambda s, **o: respike.evaluate(**{"snn": s, "data": (X, Y), **o}),
        {
            "snn": [*MODULE, None, net()],
            "data": SAMPLES,
            "ann": MODULE,
            "timesteps": [*(x for x in WHOLE if x is not None), 0],
            "judge": WORD,
            "metric": CALL,
            "batch_size": [*WHOLE, 0],
            "against_float32": [*FLAG, None],
            "ann_on": WORD,
            "part": [3, "1/2", (1,), (0, 2), (3, 2), (1.5, 2), (1, True)],
            "resume": [x for x in FILE if x is not None],
            "progress": FLAG,
        },
    ),
    "evaluate_exit": (
        lambda s, **o: evaluate_exit(**{"early": respike.EarlyExit(s, X, judge="decision"), "data": (X, Y), **o}),
        {"early": [None, 3, net()], "data": SAMPLES, "batch_size": [*WHOLE, 0], "progress": FLAG},
    ),
    "merge": (
        lambda s, **o: merge(**{"results": [respike.evaluate(s, (X, Y))], **o}),
        {"results": [None, 3, [], [3], X], "again": [*FLAG, None]},
    ),
    "EarlyExit": (
        lambda s, **o: respike.EarlyExit(**{"snn": s, "calibration": X, **o}),
        {
            "snn": [None, 3, net()],
            "calibration": SAMPLES,
            "score": WORD,
            "agreement": [*NUMBER, 0, 101],
            "judge": [*WORD, "error"],
            "samples": [*WHOLE, 0],
            "seed": [*WHOLE, 2**63],
        },
    ),
    "diagnose": (
        lambda s, **o: diagnose(**{"snn": s, "data": X, **o}),
        {
            "snn": [None, 3, net()],
            "data": SAMPLES,
            "ann": MODULE,
            "timesteps": [*(x for x in WHOLE if x is not None), 0],
            "ann_on": WORD,
            "samples": [*WHOLE, 0],
            "seed": [*WHOLE, 2**63],
            "resume": [x for x in FILE if x is not None],
            "progress": FLAG,
        },
    ),
    "simulate": (
        lambda s, **o: s.simulate(X, **o),
        {"timesteps": [*(x for x in WHOLE if x is not None), 0]},
    ),
    "stream": (
        lambda s, **o: s.stream(**{"batch": 3, **o}),
        {
            "batch": [*WHOLE, 0],
            "window": [*(x for x in WHOLE if x is not None), 0, 65_537],
            "forgetting": [*(x for x in NUMBER if x is not None), 0, 1, -0.5],
        },
    ),
    "stream.reset": (
        lambda s, **o: s.stream(3).reset(**o),
        {"samples": [3, "all", [5], [0.5], {}, torch.rand(3), torch.ones(2, dtype=torch.bool), Odd()]},
    ),
    "stream.save": (lambda s, **o: s.stream(3).save(**o), {"path": FILE}),
    "stream.load": (lambda s, **o: s.stream(3).load(**o), {"path": FILE}),
    "Controller": (
        lambda s, **o: respike.Controller(**{"snn": s, **o}),
        {"snn": [None, 3, net()], "carry": [*NUMBER, -0.1, 1.1]},
    ),
    "recalibrated": (
        lambda s, **o: s.recalibrated(**{"calibration": X, "layers": "1", **o}),
        {"calibration": SAMPLES, "layers": NAMES, "ann": MODULE, "samples": [*WHOLE, 0]},
    ),
    "quantised": (
        lambda s, **o: s.quantised(**o),
        {"bits": [*WHOLE, 1, 17], "scale": WORD, "bias_bits": [*(x for x in WHOLE if x is not None), 1, 17]},
    ),
    "record": (
        lambda s, **o: s.record(X, **o),
        {
            "layers": ["no such layer", 3, [1], Odd()],
            "timesteps": [*(x for x in WHOLE if x is not None), 0],
            "potentials": [*FLAG, None],
            "memory": [*WHOLE, 0],
        },
    ),
    "policies.load": (lambda s, **o: respike.models.policies.load(**o), {"task": ["no such task", 3, None, [], Odd()]}),
    "with_time": (
        lambda s, **o: s.with_time(**o),
        {"inputs": ["no such input", 3, None, [1], Odd()], "events": [*FLAG, None]},
    ),
    "encoded": (
        lambda s, **o: s.encoded(**{"encode": respike.Encoding("rate", scale=1.0), **o}),
        {"encode": [x for x in WORD if x is not None], "inputs": ["no such input", 3, None, [1], Odd()]},
    ),
    "frames": (lambda s, **o: s.frames(X, **o), {"timesteps": [*(x for x in WHOLE if x is not None), 0]}),
    "models.load": (lambda s, **o: respike.models.load(**o), {"name": ["no such model", 3, None, [], Odd()]}),
}
CASES = [(name, option) for name, (_, options) in FUNCTIONS.items() for option in options]
SAID = {
    "layers": "layers?",
    "data": "data|batch",
    "calibration": "calibration",
    "name": "reference network",
    "outputs": "outputs?",
    "samples": "samples?",
    "task": "no policy",
}


@pytest.mark.parametrize(("name", "option"), CASES)
def test_a_wrong_value_is_named(name: str, option: str, snn: respike.SpikingNetwork) -> None:
    function, options = FUNCTIONS[name]
    for value in options[option]:
        with pytest.raises((ValueError, TypeError), match=SAID.get(option, option)) as caught:
            function(snn, **{option: value})
        message = str(caught.value)
        assert len(message) < 400, message
        assert not message.startswith(("'", "unsupported operand", "argument of type"))


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_with_options_of_its_own_names_the_wrong_one(kind: type[Any]) -> None:
    for option, wrong in VALUES[kind].items():
        for value in wrong:
            with pytest.raises(respike.ConversionError, match=option) as caught:
                kind(**{option: value})
            assert len(str(caught.value)) < 400


def test_the_main_road_takes_the_defaults_of_the_options() -> None:
    """One list of defaults, which signature and values share."""
    signature = {name: p.default for name, p in inspect.signature(respike.from_torch).parameters.items()}
    options, neuron = Options(), NeuronOptions()
    assert len(signature) <= 16  # what belongs together becomes one value; progress and resume change no result
    for name in ("timesteps", "schedule", "correction", "samples", "seed"):
        assert signature[name] == getattr(options, name)
    assert signature["max_spikes"] == neuron.max_spikes
    assert threshold_of(signature["threshold"]) == options.threshold
    assert signature["neuron"] == "auto" and neuron.neuron == "iaf"


def test_the_table_has_every_option() -> None:
    """So that a new option is not forgotten."""
    for kind, options in VALUES.items():
        assert {part.name for part in fields(kind)} == set(options)
    assert {kind for kinds in NAMED.values() for kind in kinds.values()} | {respike.Encoding} == set(VALUES)
    for function, name in (
        (respike.from_torch, "from_torch"),
        (respike.load, "load"),
        (respike.evaluate, "evaluate"),
        (respike.EarlyExit, "EarlyExit"),
        (diagnose, "diagnose"),
        (evaluate_exit, "evaluate_exit"),
        (respike.SpikingNetwork.simulate, "simulate"),
        (respike.SpikingNetwork.recalibrated, "recalibrated"),
        (respike.SpikingNetwork.quantised, "quantised"),
        (respike.SpikingNetwork.record, "record"),
        (respike.SpikingNetwork.with_time, "with_time"),
        (respike.SpikingNetwork.encoded, "encoded"),
        (respike.SpikingNetwork.frames, "frames"),
        (respike.SpikingNetwork.save, "save"),
    ):
        assert set(inspect.signature(function).parameters) - {"self", "args"} == set(FUNCTIONS[name][1])


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    made = respike.from_torch(
        net(),
        X,
        np.int64(3),
        threshold=respike.Percentile(np.float32(99.5)),
        samples=np.int32(12),
        seed=np.uint8(0),
    )
    same = respike.from_torch(net(), X, 3, threshold=respike.Percentile(99.5))
    assert torch.equal(made(X), same(X))
    made.save(tmp_path / "net.respike")
    found = respike.evaluate(made, (X, Y), timesteps=np.int16(2), batch_size=np.int64(5))
    assert found.to_json() == respike.evaluate(same, (X, Y), timesteps=2, batch_size=5).to_json()


def test_the_questions_themselves() -> None:
    assert checks.whole("n", np.int8(3), 1, 4) == 3
    assert type(checks.whole("n", np.int8(3))) is int
    assert checks.number("x", np.float32(0.5), "", above=0) == 0.5
    assert checks.names("analog", "a") == ("a",)
    assert checks.names("analog", ["a", "b"]) == ("a", "b")
    long = "x" * 500
    with pytest.raises(respike.ConversionError) as caught:
        checks.one_of("threshold", long, ("mse", "max"))
    assert len(str(caught.value)) < 150
    with pytest.raises(respike.ConversionError, match=r"n must be a whole number, 1 or more; got torch.Tensor"):
        checks.whole("n", Tensor([1]), 1)
