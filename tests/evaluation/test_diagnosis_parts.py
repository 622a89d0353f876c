"""The error of each layer, split by cause: against closed forms, hand counts, and sums that must come out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import zoo
from diagnosed import convert, small_cnn
from exported import RELU, digits
from held_back import calibrating
from samples import one_in, quick_are
from torch import Tensor, nn

import respike
from respike.convert.graph import Node
from respike.convert.options import NeuronOptions
from respike.convert.run.neurons import SpikingReLU
from respike.evaluation.diagnosis.parts import PARTS, causes

SETTINGS: list[dict[str, Any]] = [
    {},
    {"neuron": "signed", "precision": "int8"},
    {"neuron": "lif", "schedule": respike.Pipelined(2)},
    {"neuron": respike.MultiThreshold(3), "precision": "bfloat16"},
    {"max_spikes": 4, "schedule": "layerwise", "threshold": "max"},
    {"correction": "bias", "threshold": respike.Percentile(granularity="layer")},
]


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
        whole = mean + neuron.bias.double() + extra.double()
        whole = whole if neuron.two_sided else whole.clamp(min=0, max=neuron.cap)
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
    case, options = zoo.CONVERTS[name], zoo.setting(name, SETTINGS[list(zoo.CONVERTS).index(name) // 8 % len(SETTINGS)])
    x = tuple(torch.randn(20, *shape) for shape in case.shapes)
    assert_adds_up(convert(case.build(), [x], 3, **options), x)


REFERENCE: list[tuple[str, dict[str, Any]]] = [
    *(("mnist_mlp", {"correction": "bias", **options}) for options in SETTINGS),
    ("mnist_cnn", SETTINGS[2]),
    ("mnist_events", {"correction": "bias"}),
    ("fashion_resnet", {"neuron": "signed", "precision": "int8", "correction": "bias"}),
    ("fashion_vgg", {"neuron": "multi_threshold", "correction": "bias"}),
    ("fashion_mobilenet", {"max_spikes": 2, "schedule": "pipelined", "correction": "bias"}),
]


QUICK = REFERENCE[1:6:2]


@pytest.mark.parametrize(("name", "options"), quick_are(QUICK, REFERENCE))
def test_parts_add_up_in_the_reference_networks(name: str, options: dict[str, Any]) -> None:
    x = digits(name, 6)
    assert_adds_up(convert(respike.models.load(name), x, 3, **options), (x,))


def test_all_reference_networks_are_there() -> None:
    assert {name for name, _ in REFERENCE} == set(RELU)


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


@pytest.mark.slow
def test_what_is_switched_off_makes_no_error() -> None:
    x = torch.rand(40, 1, 8, 8)
    snn = convert(small_cnn(), x, 6, correction="none", threshold="max", schedule="layerwise")
    plain = respike.diagnose(snn, calibrating(x))
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


@pytest.mark.parametrize("neuron", ["signed", "multi_threshold"])
def test_negative_signals_of_neurons_of_either_sign_are_not_clipped(neuron: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).eval(), torch.randn(64, 4)
    snn = respike.from_torch(model, x, timesteps=16, neuron=neuron, threshold="max", correction="none")
    (layer,) = respike.diagnose(snn, x, model, progress=False).layers
    assert layer.parts["clipping"].rms < 0.05 * layer.error
    assert layer.error == pytest.approx(layer.parts["quantisation"].rms, rel=0.05)
    assert sum(layer.rates) == pytest.approx(1)
    assert layer.rates[-1] > 0
