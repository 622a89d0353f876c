"""Other number formats than float32: what they round, and what they must not."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import respike
from respike.convert.graph import Node
from respike.convert.options import PRECISIONS
from respike.convert.run import whole_synapses as integers
from respike.convert.run.arithmetic import Arithmetic, carried
from respike.convert.run.time_varying import Timed

CONVOLUTIONS: dict[str, tuple[nn.Module, list[Any]]] = {
    "plain": (nn.Conv2d(6, 4, 3, padding=1, bias=False), [[1, 1], [1, 1], [1, 1], 1]),
    "strided": (nn.Conv2d(6, 4, 3, 2, (1, 0), bias=False), [[2, 2], [1, 0], [1, 1], 1]),
    "dilated": (nn.Conv2d(6, 4, 3, dilation=2, bias=False), [[1, 1], [0, 0], [2, 2], 1]),
    "grouped": (nn.Conv2d(6, 4, 1, groups=2, bias=False), [[1, 1], [0, 0], [1, 1], 2]),
    "depthwise": (nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), [[1, 1], [1, 1], [1, 1], 6]),
}


def node_of(rest: list[Any], shape: tuple[int | None, ...] = (None, 4, 1, 1)) -> Node:
    return Node("layer", "aten.conv2d.default", (None, None, None, *rest), shape=shape)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@torch.no_grad()
def test_eight_bits_add_up_whole_numbers_exactly(name: str) -> None:
    """Against the same sums in 64-bit whole numbers, for spikes of either sign."""
    torch.manual_seed(0)
    module, rest = CONVOLUTIONS[name]
    synapses = integers.WholeSynapses(node_of(rest), module.weight.detach())
    assert synapses.weight.abs().amax((1, 2, 3)).tolist() == [127] * len(module.weight)
    back = synapses.weight * synapses.step.reshape(-1, 1, 1, 1)
    assert (back - module.weight).abs().max() <= 0.5001 * synapses.step.max()
    spikes = torch.randint(-8, 9, (3, 2, 6, 9, 8), dtype=torch.int8)
    wanted = F.conv2d(spikes.flatten(0, 1).double(), synapses.weight.double(), None, *rest).long()
    assert torch.equal(synapses.way(spikes)(spikes.flatten(0, 1)).long(), wanted)
    assert torch.equal(synapses._plain(spikes.flatten(0, 1)).long(), wanted)


@torch.no_grad()
def test_what_a_spike_carries_is_in_the_weights() -> None:
    for name, (module, rest) in CONVOLUTIONS.items():
        theta, spikes = torch.rand(6, 1, 1) + 0.5, (torch.rand(2, 6, 9, 8) < 0.5).float()
        weight = carried(node_of(rest), module.weight, theta)
        assert weight is not None
        torch.testing.assert_close(F.conv2d(spikes, weight, None, *rest), module(spikes * theta), msg=name)
    assert carried(node_of(CONVOLUTIONS["plain"][1]), module.weight, torch.rand(6, 9, 8)) is None  # not one a channel


@torch.no_grad()
def test_bfloat16_rounds_weights_and_sums_to_eight_bits() -> None:
    torch.manual_seed(0)
    weight, theta = torch.randn(5, 30), torch.rand(30) + 0.5
    node = Node("layer", "aten.linear.default", (None, respike.convert.graph.Ref("w"), None), shape=(None, 5))
    spikes = (torch.rand(4, 3, 30) < 0.4).bfloat16()
    found = Arithmetic("bfloat16", {"w": weight}).synapses(node, Timed(spikes, theta))
    assert found is not None
    exact = spikes.double() @ (weight * theta).double().T
    rounded = spikes.double() @ (weight * theta).bfloat16().double().T
    assert (found.real - rounded).abs().max() <= 2**-8 * rounded.abs().max()
    assert (found.real - exact).abs().max() > 1e-4


CODES: list[dict[str, Any]] = [{}, {"neuron": "multi_threshold"}]  # the finest spikes


@pytest.mark.slow
@pytest.mark.parametrize("options", CODES)
def test_networks_decide_alike(options: dict[str, Any]) -> None:
    model, images = respike.models.load("mnist_cnn"), respike.models.datasets.load("mnist").tensors[0][:100]
    snn = respike.from_torch(model, respike.models.datasets.calibration()[:64], 4, **options)
    with torch.no_grad():
        wanted = model(images).argmax(1)
    outputs: dict[str, Tensor] = {}
    for precision in PRECISIONS:
        snn.precision = precision
        events: list[Tensor] = []
        blocks = snn.blocks([images], only_last=True, recorder=lambda node, found, sent, to=events: to.append(found))
        outputs[precision] = next(blocks)[0][-1]
        next(blocks, None)
        assert all(torch.equal(e, e.round()) for e in events)
        torch.testing.assert_close(outputs[precision], snn(images), rtol=1e-4, atol=1e-4)
        assert (outputs[precision].argmax(1) == wanted).double().mean() >= 0.97
    for rounded in PRECISIONS[1:]:
        assert not torch.equal(outputs[rounded], outputs["float32"])
        assert (outputs[rounded].argmax(1) == outputs["float32"].argmax(1)).double().mean() >= 0.98


def test_changed_neurons_and_weights_are_noticed() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 4, precision="int8")
    before = snn(x)
    for change in (*(n.threshold for n in snn.neurons.values()), next(iter(snn.weights.buffers()))):
        change.mul_(1.5)
        after = snn(x)
        assert not torch.equal(after, before)
        before = after


def test_copies_do_the_same() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 4, precision="bfloat16")
    found = snn(x)
    assert torch.equal(copy.deepcopy(snn)(x), found)
    assert torch.equal(pickle.loads(pickle.dumps(snn))(x), found)


def test_a_stream_keeps_its_precision() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 6, precision="int8")
    whole = snn.simulate(x)
    run = snn.stream(len(x))
    torch.testing.assert_close(torch.stack([run(x) for _ in range(6)], 1), whole)
    snn.precision = "float32"
    with pytest.raises(ValueError, match=r"began with precision='int8', and the network has 'float32' now"):
        run(x)


def test_inference_mode_is_no_obstacle() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    wanted = respike.from_torch(model, x, 4)(x)
    with torch.inference_mode():
        assert torch.equal(respike.from_torch(model, x, 4)(x), wanted)


def test_wrong_precisions_are_named() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    with pytest.raises(respike.ConversionError, match=r"precision must be one of float32, bfloat16, int8; got 'int4'"):
        respike.from_torch(model, x, 4, precision="int4")
    with pytest.raises(respike.ConversionError, match=r"200 smallest spikes .*'int8' holds whole numbers up to 127"):
        respike.from_torch(model, x, 4, max_spikes=200, precision="int8")


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(72, 10), nn.ReLU(), nn.Linear(10, 4))


class Meets(nn.Module):
    """Samples see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(F.relu(x)).flip(0)


def test_pieces_of_a_batch_give_what_the_whole_gives() -> None:
    model, x = small_cnn(), torch.rand(9, 1, 12, 12)
    snn = respike.from_torch(model, x, 6).double()
    whole, steps = snn(x.double()), snn.simulate(x.double())
    torch.testing.assert_close(steps[:, -1], whole, rtol=1e-12, atol=1e-12)
    snn.memory_budget = 1
    pieces, _ = snn.pieces([x], 6)
    assert len(pieces) == 9
    torch.testing.assert_close(snn(x.double()), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(snn.simulate(x.double()), steps, rtol=1e-12, atol=1e-12)
    labels = torch.arange(9) % 4
    small = respike.evaluate(snn, (x, labels), ann=model)
    snn.memory_budget = 2**30
    large = respike.evaluate(snn, (x, labels), ann=model)
    for name in ("accuracy", "agreement", "spikes", "synops"):
        assert (getattr(small, name) == getattr(large, name)).all(), name


class MeetsInTheHead(Meets):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(F.relu(x)).softmax(0)


@pytest.mark.parametrize("kind", [Meets, MeetsInTheHead])
def test_samples_that_meet_stay_together(kind: type[Meets]) -> None:
    model, x = kind().eval(), torch.randn(6, 5)
    snn = respike.from_torch(model, x, 400, threshold="max", correction="none")
    snn.memory_budget = 1
    assert snn.pieces([x], 400)[0] == [slice(None)]
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), atol=0.02, rtol=0)


@pytest.mark.slow
def test_evaluation_counts_how_often_float32_decides_alike() -> None:
    model, x = small_cnn(), torch.rand(30, 1, 12, 12)
    labels = torch.arange(30) % 4
    snn = respike.from_torch(model, x, 5, precision="bfloat16")
    result = respike.evaluate(snn, (x, labels), ann=model, against_float32=True)
    exact = respike.from_torch(model, x, 5)
    wanted = (snn.simulate(x).argmax(2) == exact.simulate(x).argmax(2)).double().mean(0)
    assert result.float32_agreement is not None
    assert result.float32_agreement.tolist() == pytest.approx(wanted.tolist())
    assert "as float32" in str(result)
    assert "as float32" not in str(respike.evaluate(snn, (x, labels)))


def test_events_are_left_alone_where_float32_would_round_their_sums() -> None:
    """So that the way, which hangs on the other samples of a batch, never changes a sum."""
    node = node_of([[1, 1], [1, 1]])
    synapses = integers.WholeSynapses(node, torch.rand(32, 512, 3, 3) + 0.5, by_events=True)
    synapses._below = 0.15
    few = torch.zeros(4, 512, 8, 8, dtype=torch.int8)
    few[0, 0] = 1
    assert synapses._is_for_events(few)
    assert not synapses._is_for_events(100 * few)
    assert not synapses._is_for_events(-100 * few)
    assert not synapses._is_for_events(torch.ones_like(few))
    assert not synapses._is_for_events(few[:0])


def test_constant_currents_are_added_up_once() -> None:
    """Of a sum of two layers with biases, however often the network runs."""

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.a, self.b = (nn.Conv2d(c, 32, 3, padding=1) for c in (3, 32, 32))
            self.last = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x).relu()
            found: Tensor = self.last((self.a(x) + self.b(x)).relu().mean((2, 3)))
            return found

    torch.manual_seed(0)
    x = torch.rand(16, 3, 8, 8)
    snn = respike.from_torch(Sum().eval(), x, 4, correction="none", precision="int8")
    found = snn(x)
    assert snn._arithmetic is not None
    count = len(snn._arithmetic[1]._biases)
    assert all(torch.equal(snn(x), found) for _ in range(5))
    assert len(snn._arithmetic[1]._biases) == count
