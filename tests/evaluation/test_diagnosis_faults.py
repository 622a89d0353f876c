"""Networks broken on purpose: the diagnosis names layer and cause, and what it suggests brings them back."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from samples import one_in, quick_are
from torch import Tensor, nn

import respike
from respike.convert.run.neurons import SpikingReLU
from respike.evaluation import Diagnosis
from respike.models import datasets


class Setting:
    """A model, its network, and the samples on which both are judged, by the error of the output.

    The error is a mean over samples and classes, which rounding moves by a fraction of a percent. Accuracy on so few
    samples moves by whole samples with the order of a sum, and is compared with nothing here.
    """

    def __init__(self, name: str, timesteps: int, samples: int, judged: int) -> None:
        self.model = respike.models.load(name)
        self.calibration = datasets.calibration()[:samples]
        self.x = datasets.load("mnist").tensors[0][:judged]
        with torch.no_grad():
            self.wanted = self.model(self.x)
        self.snn = respike.from_torch(self.model, self.calibration, timesteps)

    def error(self, snn: nn.Module) -> float:
        """Root mean square of SNN - ANN, over that of the ANN's outputs."""
        return float((snn(self.x) - self.wanted).norm() / self.wanted.norm())

    def follow(self, diagnosis: Diagnosis, snn: respike.SpikingNetwork) -> respike.SpikingNetwork:
        """The network after all that the diagnosis suggests, done to the letter."""
        values: dict[str, Any] = {
            "snn": snn,
            "respike": respike,
            "model": self.model,
            "calibration": self.calibration,
        }
        for finding in diagnosis.faults:
            exec(finding.suggestion, values)
        found = values["snn"]
        assert isinstance(found, respike.SpikingNetwork)
        return found


@pytest.fixture(scope="module")
def cnn() -> Setting:
    torch.manual_seed(0)
    return Setting("mnist_cnn", 4, 80, 150)


@pytest.fixture(scope="module")
def resnet() -> Setting:
    """Of clothes, on digits: whether it decides as the ANN does not need data that do not ship."""
    torch.manual_seed(0)
    return Setting("fashion_resnet", 4, 24, 60)


def layer(snn: respike.SpikingNetwork, number: int) -> SpikingReLU:
    found = list(snn.neurons.values())[number]
    assert isinstance(found, SpikingReLU)
    return found


def too_high(neuron: SpikingReLU) -> None:
    neuron.threshold *= 10


def too_low(neuron: SpikingReLU) -> None:
    neuron.threshold /= 10


def dead(neuron: SpikingReLU) -> None:
    neuron.bias -= 1e3


def shifted_up(neuron: SpikingReLU) -> None:
    neuron.bias += 0.5 * neuron.threshold


def shifted_down(neuron: SpikingReLU) -> None:
    neuron.bias -= 0.6 * neuron.threshold


# docs/diagnosis.md shows two more of the CNN: a threshold too high in the second layer, and too few timesteps.
BROKEN: list[tuple[str, int, Callable[[SpikingReLU], None], str]] = [
    ("cnn", 3, too_high, "threshold too high"),
    ("cnn", 0, too_low, "threshold too low"),
    ("cnn", 2, dead, "dead"),
    ("cnn", 1, shifted_down, "bias shifted"),
    ("cnn", 0, shifted_up, "bias shifted"),
    ("resnet", 7, too_high, "threshold too high"),
    ("resnet", 9, shifted_up, "bias shifted"),
]


QUICK = BROKEN[:4]


@pytest.mark.parametrize(("name", "number", "harm", "cause"), quick_are(QUICK, BROKEN))
def test_a_broken_layer_is_named_with_its_cause_and_comes_back(
    name: str, number: int, harm: Callable[[SpikingReLU], None], cause: str, request: pytest.FixtureRequest
) -> None:
    setting: Setting = request.getfixturevalue(name)
    broken = copy.deepcopy(setting.snn)
    harm(layer(broken, number))
    sound, bad = setting.error(setting.snn), setting.error(broken)
    assert bad > 1.5 * sound
    diagnosis = respike.diagnose(broken, setting.x, samples=48)
    assert [(f.cause, f.layer) for f in diagnosis.findings] == [(cause, list(broken.neurons)[number])]
    assert layer(broken, number).where in diagnosis.findings[0].text
    mended = setting.error(setting.follow(diagnosis, broken))
    assert bad - mended >= 0.9 * (bad - sound), (sound, bad, mended)


@pytest.mark.slow
def test_too_few_timesteps_are_told_from_a_broken_layer(resnet: Setting) -> None:
    short = copy.deepcopy(resnet.snn)
    short.timesteps = 1
    bad = resnet.error(short)
    diagnosis = respike.diagnose(short, resnet.x, samples=48)
    (finding,) = diagnosis.findings
    assert (finding.cause, finding.fault, finding.layer) == ("timesteps too few", True, None)
    assert "T = 1 is too small" in finding.text
    sound = resnet.error(resnet.snn)
    assert bad > 1.5 * sound
    assert bad - resnet.error(resnet.follow(diagnosis, short)) >= 0.9 * (bad - sound)


def test_two_broken_layers_are_told_apart_from_those_that_suffer(cnn: Setting) -> None:
    broken = copy.deepcopy(cnn.snn)
    too_low(layer(broken, 0))
    shifted_up(layer(broken, 2))
    names = list(broken.neurons)
    diagnosis = respike.diagnose(broken, cnn.x, samples=48)
    assert [(f.cause, f.layer) for f in diagnosis.findings] == [
        ("threshold too low", names[0]),
        ("bias shifted", names[2]),
    ]
    assert diagnosis.layers[1].parts["propagated"].share > 0.9  # it has lost as much, and is not blamed
    assert cnn.error(cnn.follow(diagnosis, broken)) < 1.2 * cnn.error(cnn.snn)


def test_weights_are_told_from_biases_and_come_back(cnn: Setting) -> None:
    broken = copy.deepcopy(cnn.snn)
    last = next(n for n in broken.graph.nodes if n.op == "aten.linear.default")
    weight = broken.weights.get_buffer(last.args[1].name)
    weight.copy_(weight[torch.randperm(len(weight))])
    diagnosis = respike.diagnose(broken, cnn.x, samples=48)
    assert [(f.cause, f.layer) for f in diagnosis.findings] == [("weights changed", list(broken.neurons)[3])]
    assert cnn.error(broken) > 1.5 * cnn.error(cnn.snn)
    assert cnn.error(cnn.follow(diagnosis, broken)) < 1.2 * cnn.error(cnn.snn)


def test_a_broken_readout_is_named(cnn: Setting) -> None:
    broken = copy.deepcopy(cnn.snn)
    last = [n for n in broken.graph.nodes if n.op == "aten.linear.default"][-1]
    broken.weights.get_buffer(last.args[2].name)[3] += 40
    assert cnn.error(broken) > 1.5 * cnn.error(cnn.snn)
    assert [f.cause for f in respike.diagnose(broken, cnn.x, samples=48).findings] == ["readout changed"]


SOUND: list[tuple[int, dict[str, Any]]] = [
    (1, {}),
    (1, {"neuron": "lif", "correction": "bias"}),
    (2, {"threshold": "max", "correction": "none"}),
    (8, {"threshold": respike.Percentile(granularity="layer"), "correction": "bias"}),
    (12, {}),
    (12, {"neuron": "signed", "precision": "int8", "correction": "bias"}),
    (8, {"neuron": "lif", "correction": "bias"}),
    (4, {"neuron": "multi_threshold", "correction": "bias"}),
    (6, {"max_spikes": 4, "schedule": "pipelined"}),
    (12, {"schedule": "layerwise", "correction": "bias"}),
]


@pytest.mark.parametrize(("timesteps", "options"), one_in(3, SOUND))
def test_no_layer_of_a_sound_network_is_called_broken(timesteps: int, options: dict[str, Any]) -> None:
    x: Tensor = datasets.calibration()
    model = respike.models.load("mnist_mlp")
    diagnosis = respike.diagnose(respike.from_torch(model, x[:100], timesteps, **options), x[100:200])
    assert len(diagnosis.findings) == 1
    assert diagnosis.findings[0].layer is None
    if timesteps > 2 and "threshold" not in options:
        assert diagnosis.findings[0].cause in ("clipping", "quantisation", "unevenness")
        assert not diagnosis.faults


@pytest.mark.slow
def test_data_beyond_the_calibration_are_told_from_a_wrong_threshold(cnn: Setting) -> None:
    """The same error of the same layers: brighter images, or thresholds made smaller."""
    bright = cnn.x * 6
    diagnosis = respike.diagnose(cnn.snn, bright, samples=48)
    assert [(f.cause, f.fault, f.layer) for f in diagnosis.findings] == [("beyond calibration", True, None)]
    (finding,) = diagnosis.findings
    assert "exceed the calibration data" in finding.text
    values = {"respike": respike, "model": cnn.model, "calibration": torch.cat([cnn.calibration, bright[:40]])}
    exec(finding.suggestion, values)
    better = respike.diagnose(values["snn"], bright[40:], samples=48)  # type: ignore[attr-defined]
    assert "beyond calibration" not in [f.cause for f in better.findings]
    assert better.output_error < 0.5 * diagnosis.output_error
    low = copy.deepcopy(cnn.snn)
    too_low(layer(low, 0))
    both = respike.diagnose(low, bright, samples=48)
    assert both.findings[0].cause == "threshold too low"


@pytest.mark.slow
def test_nothing_is_suggested_that_does_not_help(cnn: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    from respike.evaluation.diagnosis import remedies

    short = copy.deepcopy(cnn.snn)
    short.timesteps = 1
    assert respike.diagnose(short, cnn.x, samples=48).findings[0].suggestion
    monkeypatch.setattr(remedies, "HELPS", 0.0)  # whatever is tried does not help
    broken = copy.deepcopy(cnn.snn)
    too_high(layer(broken, 1))
    for snn in (short, broken, cnn.snn):
        (finding,) = respike.diagnose(snn, cnn.x, samples=48).findings
        assert finding.suggestion == ""
        assert "does not reduce the output's error" in finding.text


OWN: list[dict[str, Any]] = [
    {"schedule": "layerwise"},
    {"schedule": respike.Pipelined(2)},
    {"neuron": respike.LIF(7.0)},
    {"threshold": respike.MSE(granularity="layer")},
    {"precision": "bfloat16"},
    {"neuron": "signed", "max_spikes": 2, "schedule": "layerwise", "threshold": respike.MSE(granularity="layer")},
]


@pytest.mark.parametrize("own", one_in(3, OWN), ids=str)
def test_a_suggested_call_has_all_options_of_the_network_and_makes_such_a_one(own: dict[str, Any]) -> None:
    torch.manual_seed(0)
    sizes = [(8, 16), (16, 16), (16, 16)]
    model = nn.Sequential(*(m for size in sizes for m in (nn.Linear(*size), nn.ReLU())), nn.Linear(16, 3))
    x = torch.randn(64, 8)
    snn = respike.from_torch(model, x, 2, **own)
    finding = respike.diagnose(snn, x, progress=False).findings[0]
    said = re.fullmatch(r"snn = respike.from_torch\(model, calibration, timesteps=\d+, (.*)\)", finding.suggestion)
    assert said is not None
    assert eval(f"dict({said[1]})") == own
    values: dict[str, Any] = {"respike": respike, "model": model, "calibration": x}
    exec(finding.suggestion, values)
    assert (
        respike.diagnose(values["snn"], x, progress=False).output_error
        < respike.diagnose(snn, x, progress=False).output_error
    )


def test_what_calibration_makes_up_for_uneven_frames_is_no_fault() -> None:
    """Ridge fits weights to spikes that come unevenly, so that a layer alone, with even input, is off."""
    model = respike.models.load("mnist_events")
    snn = respike.from_torch(model, respike.Frames(datasets.calibration("mnist_events", timesteps=30)[:200]), 30)
    frames, _ = datasets.load("mnist_events", timesteps=30)[:48]
    found = respike.diagnose(snn, frames, model)
    off = [x for x in found.layers if x.trial is not None and x.trial.now > 2.5 * x.trial.best + 0.2]
    assert off
    assert not [finding for finding in found.findings if finding.layer is not None]
