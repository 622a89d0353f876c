"""Whole-number weights with one scale a layer: spikes of a machine that counts in 8-bit weights and one threshold."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from exported import digits
from samples import quick_are
from test_normalised import counts
from torch import Tensor, nn

import respike
from respike.convert.graph import Node
from respike.models import datasets


class Block(nn.Module):
    """Two convolutions and a shortcut with weights of its own meet in the same neurons."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.first, self.second = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.shortcut = nn.Conv2d(4, 6, 1)
        self.head = nn.Linear(6 * 16, 3)
        with torch.no_grad():
            self.shortcut.weight *= 20  # so that scales of their own would differ
            self.second.weight[0] *= 9

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = (self.second(self.first(x).relu()) + self.shortcut(x)).relu()
        out: Tensor = self.head(x.flatten(1))
        return out


def largest_of(snn: respike.SpikingNetwork, node: Node) -> Tensor:
    return snn.weights.get_buffer(node.args[1].name).abs().max()


def exponent(values: list[Tensor]) -> int:
    """The smallest e with which all values, times 2^e, are whole; found by trying."""
    for e in range(-13, 25):
        scaled = [value.double() * 2.0**e for value in values]
        if all(bool((x == x.round()).all()) for x in scaled):
            return e
    raise AssertionError("no whole numbers")


def synapses(snn: respike.SpikingNetwork) -> list[Node]:
    return [node for node in snn.graph.nodes if node.op in ("aten.linear.default", "aten.conv2d.default")]


def test_spikes_of_a_residual_block_are_those_of_whole_numbers() -> None:
    """By hand, in int64: 8-bit weights, one threshold 2^e for each layer of neurons."""
    x = torch.rand(20, 1, 4, 4)
    snn = respike.from_torch(Block(), x, 8).quantised(8, scale="layer", bias_bits=8)
    stem, first, second, shortcut, _ = synapses(snn)
    neurons = list(snn.layers().values())
    spikes = [found.long() for found in counts(snn, (x,)).values()]
    own = [exponent([snn.weights.get_buffer(node.args[1].name)]) for node in (second, shortcut)]
    e = max(own)
    constant = sum(snn.weights.get_buffer(node.args[2].name) for node in (second, shortcut))
    constant = (constant + neurons[2].bias.flatten()).abs().max()
    largest = max(*(float(largest_of(snn, node)) for node in (second, shortcut)), float(constant))
    assert 63 <= largest * 2**e <= 127.5  # no finer e fits all of them; half a unit for two roundings

    def whole(value: Tensor, exponent: int) -> Tensor:
        found = value.double() * 2.0**exponent
        assert torch.equal(found, found.round())
        return found.long()

    def weights(node: Node, exponent: int) -> tuple[Tensor, Tensor]:
        weight, bias = (snn.weights.get_buffer(node.args[i].name) for i in (1, 2))
        found = whole(weight, exponent)
        assert int(found.abs().max()) <= 127
        return found, whole(bias, exponent)

    def run(e: int, current: list[Tensor], neuron: Any) -> list[Tensor]:
        constant = whole(neuron.bias, e)
        v = whole(neuron.start, e).expand_as(current[0]).clone()
        fired = []
        for step in current:
            v = v + step + constant
            fired.append((v >= 2**e).long())
            v -= 2**e * fired[-1]
        return fired

    w, b = weights(first, e1 := exponent([snn.weights.get_buffer(first.args[1].name)]))
    found = run(e1, [F.conv2d(s, w, b, padding=1) for s in spikes[0]], neurons[1])
    assert torch.equal(torch.stack(found), spikes[1])
    (w2, b2), (w0, b0) = weights(second, e), weights(shortcut, e)
    pairs = zip(spikes[1], spikes[0], strict=True)
    found = run(e, [F.conv2d(s, w2, b2, padding=1) + F.conv2d(r, w0, b0) for s, r in pairs], neurons[2])
    assert torch.equal(torch.stack(found), spikes[2])
    assert all(0 < float(s.float().mean()) < 1 for s in spikes)
    assert stem.name != first.name
    channels = respike.from_torch(Block(), x, 8).quantised(8)
    of_channels = {exponent([row]) for row in channels.weights.get_buffer(second.args[1].name)}
    assert len(of_channels) > 1  # each its own there


class Added(nn.Module):
    """Spikes are added to a current that is much smaller than they."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.head = nn.Linear(5, 7), nn.Linear(7, 7), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).clamp(0, 1)
        out: Tensor = self.head((self.second(x) * 1e-3 + x).relu())
        return out


@pytest.mark.filterwarnings("ignore::respike.convert.errors.ConversionWarning")
def test_a_spike_that_is_added_weighs_a_number_of_as_many_bits() -> None:
    x = torch.rand(40, 5)
    snn = respike.from_torch(Added(), x, 4, correction="none", threshold="max")
    for neuron in snn.layers().values():
        neuron.threshold = torch.ones_like(neuron.threshold)
    made = snn.quantised(4, scale="layer")
    (factor,) = (node for node in made.graph.nodes if node.op == "aten.mul.Tensor")
    assert bool((made.weights.get_buffer(factor.args[1].name) == 1).all())
    weight = made.weights.get_buffer(synapses(made)[1].args[1].name)
    assert exponent([weight]) <= 2  # 1 · 2^2 is a number of 4 bits, 1 · 2^3 is not
    alone = snn.quantised(4).weights.get_buffer(synapses(made)[1].args[1].name)
    assert exponent([alone]) > 2


@pytest.mark.parametrize("name", quick_are(["mnist_cnn"], respike.models.REGISTRY))
@pytest.mark.parametrize("bits", [4, 8])
def test_reference_networks_have_whole_numbers_and_one_threshold_a_layer(name: str, bits: int) -> None:
    snn = respike.from_torch(respike.models.load(name), digits(name, 24), 4, correction="bias")
    made = snn.quantised(bits, scale="layer", bias_bits=bits)
    for node in synapses(made):
        weight = made.weights.get_buffer(node.args[1].name)
        e = exponent([weight])
        assert 1 <= float(weight.abs().max()) * 2**e <= 2 ** (bits - 1) - 1
        own = made.layers().get(made.graph.users[node.name][0].name) if node.name in made.graph.users else None
        biases = node.args[2]
        constant = torch.zeros(1) if biases is None else made.weights.get_buffer(biases.name)
        if own is not None:
            assert float((constant + own.bias.flatten()).abs().max()) * 2**e <= 2 ** (bits - 1) - 0.5
    assert all(bool((neuron.threshold == 1).all()) for neuron in made.layers().values())
    assert made.unit_thresholds
    assert made.precision == "float32"


def test_currents_that_meet_in_a_resnet_have_one_scale() -> None:
    snn = respike.from_torch(respike.models.load("fashion_resnet"), datasets.calibration()[:16], 2, correction="none")
    found = {scale: meeting_weights(snn.quantised(8, scale=scale)) for scale in ("channel", "layer")}
    assert [len(values) for values in found["layer"]] == [2] * 6
    finer = 0
    for values, others in zip(found["layer"], found["channel"], strict=True):
        e = max(exponent([value]) for value in values)
        assert e <= math.floor(math.log2(127 / max(float(value.abs().max()) for value in values)))
        finer += e < max(exponent([row]) for value in others for row in value)
    assert finer == 6


def meeting_weights(snn: respike.SpikingNetwork) -> list[list[Tensor]]:
    """The weights of the synapses whose currents are added, for each sum."""
    sums = [node for node in snn.graph.nodes if node.op == "aten.add.Tensor"]
    sources = [[snn.graph.node(name) for name in node.refs] for node in sums]
    return [[snn.weights.get_buffer(s.args[1].name) for s in pair if s is not None] for pair in sources]


def spoiled(cap: float | None = None) -> tuple[respike.SpikingNetwork, Tensor]:
    """A network with a channel that has weights as the others and a threshold a thousand times smaller."""
    torch.manual_seed(0)
    act = nn.ReLU() if cap is None else nn.Hardtanh(0, cap)
    model = nn.Sequential(nn.Linear(20, 30), act, nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 5))
    x = torch.rand(200, 20)
    snn = respike.from_torch(model, x, 16, correction="none", threshold="max")
    neuron = next(iter(snn.layers().values()))
    threshold = neuron.threshold.clone()
    threshold[3] = 1e-3 if cap is None else cap
    neuron.threshold = threshold
    return snn, x


def test_a_channel_that_hardly_fires_does_not_spoil_the_scale_of_its_layer() -> None:
    """Its threshold is raised by a power of two; all others, and so their spikes, are as they were."""
    snn, x = spoiled()
    exact, made = snn.normalised(), snn.quantised(8, scale="layer")
    first = synapses(exact)[0].args[1].name
    own = exact.weights.get_buffer(first).abs().amax(1)
    found = made.weights.get_buffer(synapses(made)[0].args[1].name)
    ratio = own / found.abs().amax(1)
    assert 64 < float(ratio[3]) < 2048
    assert float((ratio - 1).abs().sort().values[:-4].max()) < 0.05  # all but this one and a few beside it
    error = (made(x) - exact(x)).square().mean().sqrt() / exact(x).std()
    assert float(error) < 0.15
    assert exponent([found]) >= 6  # with the threshold that it had no e above 0 would do


def test_thresholds_do_not_grow_above_an_upper_bound() -> None:
    snn, x = spoiled(cap=1e-3)
    made = snn.quantised(8, scale="layer")
    neuron = next(iter(made.layers()))
    sent = counts(made, (x,))[neuron].mean(0).amax(0)
    reader = synapses(made)[1]
    assert bool((made.simulate(x).isfinite()).all())
    # A spike carries at most the bound: what reads it has weights no larger than in the network that was given.
    before = snn.normalised().weights.get_buffer(synapses(snn.normalised())[1].args[1].name)
    after = made.weights.get_buffer(reader.args[1].name)
    assert float(after.abs().max() / before.abs().max()) < 1.05
    assert float(sent.max()) <= 1


def test_what_one_scale_costs() -> None:
    images, labels = (t[:400] for t in datasets.load("mnist").tensors)
    ann = respike.models.load("mnist_cnn")
    snn = respike.from_torch(ann, datasets.calibration()[:128], 8)
    of = {
        scale: respike.evaluate(snn.quantised(8, scale=scale), (images, labels)).accuracy[-1]
        for scale in ("channel", "layer")
    }
    assert respike.evaluate(snn, (images, labels)).accuracy[-1] - of["layer"] <= 0.01
    coarse = respike.evaluate(snn.quantised(3, scale="layer"), (images, labels)).accuracy[-1]
    assert coarse < of["layer"] - 0.05


@pytest.mark.parametrize("scale", ["tensor", None, 1])
def test_another_scale_is_an_error(scale: Any) -> None:
    snn = respike.from_torch(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(30, 3), 2)
    with pytest.raises(respike.ConversionError, match="scale must be one of channel, layer"):
        snn.quantised(8, scale=scale)
