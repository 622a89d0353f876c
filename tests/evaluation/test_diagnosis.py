"""The error of each layer, split by cause: against closed forms, hand counts, and sums that must come out."""

from __future__ import annotations

import copy
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from samples import one_in, quick_are
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import respike
from respike.convert.errors import ConversionWarning
from respike.convert.graph import Node
from respike.convert.options import NeuronOptions
from respike.convert.run.neurons import SpikingReLU
from respike.evaluation.diagnosis.parts import PARTS, causes
from respike.models import datasets

SETTINGS: list[dict[str, Any]] = [
    {},
    {"neuron": "signed", "precision": "int8"},
    {"neuron": "lif", "schedule": respike.Pipelined(2)},
    {"neuron": respike.MultiThreshold(3), "precision": "bfloat16"},
    {"max_spikes": 4, "schedule": "layerwise", "threshold": "max"},
    {"correction": "bias", "threshold": respike.Percentile(granularity="layer")},
]


def convert(model: nn.Module, x: Any, timesteps: int, **options: Any) -> respike.SpikingNetwork:
    with warnings.catch_warnings():  # so few samples that some layers never fire
        warnings.simplefilter("ignore", ConversionWarning)
        return respike.from_torch(model.eval(), x, timesteps, **options)


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    )


def own_errors(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> dict[str, tuple[Tensor, Tensor]]:
    """What each layer sends, and a ReLU of the current that arrives there with bias and V_0: found step by step."""
    currents: dict[str, list[Tensor]] = {}
    values: dict[str, list[Tensor]] = {}

    def watch(node: Node, current: Any) -> None:
        steps = current.real if not isinstance(current, Tensor) else current.unsqueeze(0)
        currents.setdefault(node.name, []).extend(steps.double().unbind(0))

    def record(node: Node, events: Tensor, sent: Tensor) -> None:
        values.setdefault(node.name, []).extend(sent.double().unbind(0))

    list(snn.blocks(snn.graph.flatten(args), only_last=True, recorder=record, watch=watch))
    found = {}
    for name, neuron in snn.neurons.items():
        assert isinstance(neuron, SpikingReLU)
        mean = torch.stack(currents[name]).mean(0)
        extra = (neuron.v_init - neuron.threshold * neuron.options.finest / 2) / snn.timesteps
        whole = (mean + neuron.bias.double() + extra.double()).clamp(min=0, max=neuron.cap)
        found[name] = torch.stack(values[name]).mean(0), whole
    return found


def assert_adds_up(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> None:
    """Clipping, quantisation and unevenness are the layer's own error; with what arrives, all of it."""
    diagnosis = respike.diagnose(snn, [args])
    outputs = own_errors(snn, args)
    assert [layer.name for layer in diagnosis.layers] == list(snn.neurons)
    for layer in diagnosis.layers:
        sent, own = outputs[layer.name]
        if layer.error < 1e-6 * max(layer.scale, 1):
            continue
        assert sum(layer.parts[name].share for name in PARTS) == pytest.approx(1, abs=1e-3)
        # <r − relu(z), r − a> / <r − a, r − a>, and <r − a, r − a> from what the diagnosis says of it.
        shares = sum(layer.parts[name].share for name in ("clipping", "quantisation", "unevenness"))
        rest = sum(layer.parts[name].share for name in ("propagated", "correction"))
        ann = annotated(snn, args)[layer.name]
        error = sent - ann
        square = float(error.square().sum())
        assert layer.error == pytest.approx((square / error.numel()) ** 0.5, rel=1e-3)
        own_share = float(((sent - own) * error).sum()) / square
        assert shares == pytest.approx(own_share, abs=0.05 * max(abs(own_share), 0.05))
        assert rest == pytest.approx(float(((own - ann) * error).sum()) / square, abs=0.01)
    assert not [finding for finding in diagnosis.faults if finding.layer]


def annotated(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The ANN's activations, by layer, from its graph run as plain torch."""
    from respike.convert.run.analog import Analog
    from respike.convert.run.graph_walk import Walk

    assert snn.origin is not None
    walk = Walk(snn.origin, snn.origin.tensors, snn.origin.flatten(args))
    walk.run(snn.origin.nodes, Analog())
    return {name: walk.env[name].double() for name in snn.neurons}


@pytest.mark.parametrize("name", one_in(5, (n for k, n in enumerate(zoo.CONVERTS) if k % 8 == 0 or "inputs" in n)))
def test_parts_add_up_in_the_zoo(name: str) -> None:
    case, options = zoo.CONVERTS[name], SETTINGS[list(zoo.CONVERTS).index(name) // 8 % len(SETTINGS)]
    x = tuple(torch.randn(20, *shape) for shape in case.shapes)
    assert_adds_up(convert(case.build(), [x], 3, **options), x)


REFERENCE: list[tuple[str, dict[str, Any]]] = [
    *(("mnist_mlp", {"correction": "bias", **options}) for options in SETTINGS),
    ("mnist_cnn", SETTINGS[2]),
    ("fashion_resnet", {"neuron": "signed", "precision": "int8", "correction": "bias"}),
    ("fashion_vgg", {"neuron": "multi_threshold", "correction": "bias"}),
    ("fashion_mobilenet", {"max_spikes": 2, "schedule": "pipelined", "correction": "bias"}),
]
QUICK = [case for case in REFERENCE if case[0] == "mnist_mlp"]


@pytest.mark.parametrize(("name", "options"), quick_are(QUICK, REFERENCE))
def test_parts_add_up_in_the_reference_networks(name: str, options: dict[str, Any]) -> None:
    x = datasets.calibration()[:6]
    assert_adds_up(convert(respike.models.load(name), x, 3, **options), (x,))


def test_all_reference_networks_are_there() -> None:
    assert {name for name, _ in REFERENCE} == set(respike.models.REGISTRY)


def neuron(theta: float, bias: float = 0.0, start: float = 0.5, **options: Any) -> SpikingReLU:
    made = SpikingReLU(Node("n", "respike.relu", (), shape=(None, 1)), NeuronOptions(**options), 1)
    made.threshold, made.bias, made.start = torch.tensor([theta]), torch.tensor([bias]), torch.tensor([start])
    return made


def test_each_cause_is_what_it_is_called() -> None:
    """One neuron, θ = 1, T = 4, by hand: all currents even but the last, of which all comes in the last step."""
    z = torch.tensor([[0.3], [-0.5], [1.6], [0.75]])
    one = neuron(1.0)
    sent, _ = one.run(torch.stack([z, z, z, z]))
    sent = sent.mean(0)
    late, _ = one.run(torch.tensor([0.0, 0.0, 0.0, 3.0]).reshape(4, 1, 1))
    sent[3] = late.mean(0)
    propagated, correction, clipping, quantisation, unevenness = (
        part.flatten().tolist() for part in causes(one, 4, sent, z, z, z + 0.1)
    )
    assert propagated == pytest.approx([-0.1, 0, -0.1, -0.1])  # where the ReLU lets it pass
    assert correction == pytest.approx([0] * 4)
    assert clipping == pytest.approx([0, 0, -0.6, 0])
    assert quantisation == pytest.approx([0.25 - 0.3, 0, 0, 0])
    assert unevenness == pytest.approx([0, 0, 0, 0.25 - 0.75])  # one spike in the one step left


def test_a_bias_is_correction_and_what_it_gives_back_of_v0_is_not() -> None:
    z = torch.rand(50, 1) * 0.8
    early = neuron(1.0, bias=(0.5 - 0.85) / 8, start=0.85)
    sent, _ = early.run(z.expand(8, 50, 1) + early.bias)
    parts = causes(early, 8, sent.mean(0), z, z, z)
    assert float(parts[1].abs().max()) < 1e-6
    assert float(parts[3].abs().max()) <= 1 / 16 + 1e-6  # θ/2T (Bu et al. 2022)
    shifted = neuron(1.0, bias=0.2)
    sent, _ = shifted.run(z.expand(8, 50, 1) + shifted.bias)
    parts = causes(shifted, 8, sent.mean(0), z, z, z)
    torch.testing.assert_close(parts[1], torch.full_like(z, 0.2))


def test_what_is_switched_off_makes_no_error() -> None:
    x = torch.rand(40, 1, 8, 8)
    plain = respike.diagnose(convert(small_cnn(), x, 6, correction="none", threshold="max", schedule="layerwise"), x)
    for layer in plain.layers:
        assert layer.parts["unevenness"].rms < 1e-6  # layerwise currents are even
        assert layer.parts["correction"].rms < 1e-6
    assert plain.layers[0].parts["propagated"].rms == 0
    assert plain.layers[0].parts["clipping"].rms == pytest.approx(0, abs=1e-6)  # its highest activation is θ
    assert plain.layers[1].parts["propagated"].rms > 0
    rounded = respike.diagnose(convert(small_cnn(), x, 6, correction="none", precision="int8"), x)
    exact = respike.diagnose(convert(small_cnn(), x, 6, correction="none"), x)
    assert exact.layers[1].parts["correction"].rms < 1e-6
    assert 1e-5 < rounded.layers[1].parts["correction"].rms < 0.1 * rounded.layers[1].error  # rounded weights


def test_numbers_of_a_layer_are_those_of_numpy_and_of_counting() -> None:
    x = torch.rand(70, 1, 8, 8)
    model = small_cnn()
    with torch.no_grad():
        model[3].bias[1] = -9  # never active
        model[3].bias[2] = 2
    snn = convert(model, x, 4)
    second = list(snn.neurons.values())[1]
    second.bias[0] -= 50  # dead
    diagnosis = respike.diagnose(snn, x)
    layer = diagnosis.layers[1]
    with torch.no_grad():
        ann = model[:5](x).double().numpy()
    sent = own_errors(snn, (x,))[layer.name][0].numpy()
    assert layer.pearson == pytest.approx(np.corrcoef(ann.ravel(), sent.ravel())[0, 1], abs=1e-5)
    assert layer.error == pytest.approx(np.sqrt(np.square(sent - ann).mean()), rel=1e-4)
    assert layer.scale == pytest.approx(np.sqrt(np.square(ann).mean()), rel=1e-4)
    fires, active = (sent != 0).any(0), (ann > 0).any(0)
    assert layer.neurons == fires.size == 20
    assert layer.silent == pytest.approx(1 - fires.mean())
    assert layer.dead == pytest.approx((active & ~fires).sum() / active.sum())
    assert layer.silent >= layer.dead > 0
    highest = second.threshold.numpy()
    assert layer.saturated == pytest.approx((sent > highest * (1 - 1e-5)).mean())
    share, _ = np.histogram(np.minimum(sent / highest, 1), 20, (0, 1))
    assert layer.rates == pytest.approx(share / sent.size)
    with torch.no_grad():
        wanted, found = model(x).double(), snn(x).double()
    spread = (wanted - wanted.mean(0)).square().sum().sqrt()
    assert diagnosis.output_error == pytest.approx(float((found - wanted).norm() / spread), rel=1e-4)
    assert len(wanted.argmax(1).unique()) == 1
    assert diagnosis.agreement is None  # which says nothing


def test_pieces_of_any_size_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(70, 1, 8, 8)
    snn = convert(small_cnn(), x, 4)
    whole = respike.diagnose(snn, x)
    monkeypatch.setattr(sys.modules["respike.evaluation.diagnosis.diagnose"], "ROOM", 1)
    snn.memory_budget = 1
    parts = respike.diagnose(snn, x)
    for a, b in zip(whole.layers, parts.layers, strict=True):
        assert a.error == pytest.approx(b.error, rel=1e-5)
        assert a.pearson == pytest.approx(b.pearson, rel=1e-5)
        for name in PARTS:
            assert a.parts[name].share == pytest.approx(b.parts[name].share, abs=1e-4)


def test_data_come_in_any_form_and_only_so_many_are_looked_at() -> None:
    x, y = torch.rand(70, 1, 8, 8), torch.zeros(70)
    snn = convert(small_cnn(), x, 4)
    first = respike.diagnose(snn, x)
    assert first.samples == 70
    for data in ((x, y), TensorDataset(x, y)):
        assert respike.diagnose(snn, data).as_dict() == first.as_dict()
    assert respike.diagnose(snn, [(x[:30], y[:30]), (x[30:], y[30:])], samples=50).samples == 50
    assert respike.diagnose(snn, x, timesteps=9).timesteps == 9


def test_a_loaded_network_is_diagnosed_with_the_model(tmp_path: Path) -> None:
    x = torch.rand(40, 1, 8, 8)
    model = small_cnn().eval()
    snn = convert(model, x, 4)
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    with pytest.raises(respike.ConversionError, match=r"does not hold the ANN it was made from.*pass ann=model"):
        respike.diagnose(loaded, x)
    assert respike.diagnose(loaded, x, model).as_dict() == respike.diagnose(snn, x).as_dict()


@pytest.mark.parametrize("timesteps", [3, 8])
def test_a_network_with_thresholds_of_one_is_not_taken_for_a_normalised_one(timesteps: int, tmp_path: Path) -> None:
    """Hardtanh(0, 1) with its largest output as threshold, and a layer that is never active."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Hardtanh(0, 1), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    with torch.no_grad():
        model[0].weight.abs_().mul_(9)
        model[2].bias.fill_(-99.0)
    x = torch.rand(30, 4)
    snn = convert(model, x, timesteps, threshold="max", correction="none")
    assert all(bool((n.threshold == 1).all()) for n in snn.neurons.values())
    diagnosis = respike.diagnose(snn, x)
    assert [f.cause for f in diagnosis.findings if f.layer] == ["never active"]
    (dead,) = (f for f in diagnosis.findings if f.layer)
    assert (dead.fault, dead.suggestion) == (False, "")
    assert "3 (ReLU) is never active in the ANN on these samples, so it never fires" in dead.text
    snn.save(tmp_path / "net.respike")
    assert respike.diagnose(respike.load(tmp_path / "net.respike"), x, model).as_dict() == diagnosis.as_dict()
    for unit in (snn.normalised(), snn.quantised(), copy.copy(snn.normalised())):
        with pytest.raises(respike.ConversionError, match="unit thresholds"):
            respike.diagnose(unit, x, model)
        unit.save(tmp_path / "unit.respike")
        with pytest.raises(respike.ConversionError, match="unit thresholds"):
            respike.diagnose(respike.load(tmp_path / "unit.respike"), x, model)


def test_agreement_is_not_told_where_it_says_nothing() -> None:
    torch.manual_seed(0)
    x = torch.rand(30, 4)
    number = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    assert respike.diagnose(convert(number, x, 4), x).agreement is None
    one = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        one[2].bias[0] -= (one(x)[:, 0] - one(x)[:, 1]).median()
    snn = convert(one, x, 4)
    same = (snn(x).argmax(1) == one(x).argmax(1)).double().mean()
    assert respike.diagnose(snn, x).agreement == pytest.approx(float(same))
    with torch.no_grad():
        one[2].bias[0] = 100.0  # the same class for all
    assert respike.diagnose(convert(one, x, 4), x).agreement is None
    chance = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1), nn.Sigmoid())
    with torch.no_grad():
        chance[2].bias -= chance[:3](x).median()
    snn = convert(chance, x, 4)
    same = ((snn(x) > 0.5) == (chance(x) > 0.5)).double().mean()
    assert respike.diagnose(snn, x).agreement == pytest.approx(float(same))


def test_what_does_not_fit_is_refused() -> None:
    x = torch.rand(40, 1, 8, 8)
    model = small_cnn().eval()
    snn = convert(model, x, 4)
    with pytest.raises(respike.ConversionError, match=r"not the model.*4 \(ReLU\) has no counterpart in the model"):
        respike.diagnose(snn, x, nn.Sequential(*model[:2], nn.Flatten(), nn.Linear(216, 3)))
    other = nn.Sequential(*model[:3], nn.Conv2d(6, 7, 2), nn.ReLU(), nn.Flatten(), nn.Linear(28, 3))
    with pytest.raises(respike.ConversionError, match=r"4 \(ReLU\) has the shape \(None, 5, 2, 2\) in the network"):
        respike.diagnose(snn, x, other)
    with pytest.raises(respike.ConversionError, match="unit thresholds"):
        respike.diagnose(snn.normalised(), x, model)
    with pytest.raises(respike.ConversionError, match="must have shape"):
        respike.diagnose(snn, torch.rand(4, 1, 9, 9))
    with pytest.raises(respike.ConversionError, match="is empty"):
        respike.diagnose(snn, x[:0])
    with pytest.raises(ValueError, match="samples must be a whole number, 1 or more"):
        respike.diagnose(snn, x, samples=0)
    with pytest.raises(ValueError, match="timesteps must be a whole number"):
        respike.diagnose(snn, x, timesteps=0)


def test_it_is_told_as_table_json_and_figure(tmp_path: Path) -> None:
    x = torch.rand(40, 1, 8, 8)
    diagnosis = respike.diagnose(convert(small_cnn(), x, 4), x)
    text = str(diagnosis)
    assert all(layer.where in text for layer in diagnosis.layers)
    assert "-> snn = respike.from_torch(model, calibration, timesteps=" in text
    assert max(map(len, text.splitlines())) <= 160
    told = json.loads(diagnosis.to_json(tmp_path / "diagnosis.json"))
    assert told == json.loads((tmp_path / "diagnosis.json").read_text())
    assert told["layers"][1]["parts"]["propagated"]["share"] == diagnosis.layers[1].parts["propagated"].share
    assert told["format"] == "respike diagnosis 1"
    figure = diagnosis.plot(tmp_path / "diagnosis.svg")
    assert (tmp_path / "diagnosis.svg").stat().st_size > 5000
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [layer.where for layer in diagnosis.layers]
    bars = [patch.get_width() for patch in left.patches]
    total = sum(layer.relative for layer in diagnosis.layers)
    assert sum(bars) == pytest.approx(100 * total, rel=1e-3)  # the shares of each bar add up to its error
    assert len(right.patches) == 2
