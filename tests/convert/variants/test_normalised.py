"""Unit thresholds and whole-number weights: the same spikes, and those of a machine that counts in integers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import zoo
from exported import RELU, digits
from samples import one_in, quick_are
from saved_networks import SETTINGS, again, assert_same
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert.errors import ConversionWarning
from respike.models import datasets


def counts(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Spikes of each neuron in each step, by layer."""
    found: dict[str, list[Tensor]] = {}
    inputs = snn.graph.flatten(args)
    list(snn.blocks(inputs, recorder=lambda node, events, values: found.setdefault(node.name, []).append(events)))
    return {name: torch.cat(parts) for name, parts in found.items() if name in snn.neurons}


def differing(a: respike.SpikingNetwork, b: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> tuple[int, int]:
    """In how many steps a neuron does something else, of how many."""
    first, second = counts(a, args), counts(b, args)
    assert first.keys() == second.keys()
    return sum(int((first[n] != second[n]).sum()) for n in first), sum(x.numel() for x in first.values())


def thresholds(snn: respike.SpikingNetwork) -> Tensor:
    return torch.cat([neuron.threshold.flatten() for neuron in snn.neurons.values()])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", one_in(26, zoo.CONVERTS))
def test_the_zoo_comes_back_from_files_and_spikes_alike_with_unit_thresholds(name: str, tmp_path: Any) -> None:
    case, options = zoo.CONVERTS[name], zoo.setting(name, SETTINGS[list(zoo.CONVERTS).index(name) % len(SETTINGS)])
    x = tuple(torch.randn(20, *shape) for shape in case.shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        snn = respike.from_torch(case.build().eval(), [x] if len(x) > 1 else x[0], 4, **options)
    assert_same(snn, again(snn, tmp_path), x)
    snn.precision = "float32"
    snn = snn.double()
    unit = snn.normalised()
    assert bool((thresholds(unit) == 1).all())
    assert differing(snn, unit, x)[0] == 0
    for a, b in zip(pytree.tree_leaves(snn(*x)), pytree.tree_leaves(unit(*x)), strict=True):
        if isinstance(a, Tensor):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert_same(unit, again(unit, tmp_path), x)


@pytest.mark.parametrize("name", quick_are(["mnist_mlp"], RELU))
def test_the_reference_networks_spike_alike_with_unit_thresholds(name: str) -> None:
    x = digits(name, 24)
    snn = respike.from_torch(respike.models.load(name), x, 6, correction="bias")
    unit = snn.normalised()
    assert bool((thresholds(unit) == 1).all())
    assert bool((thresholds(snn) != 1).any())
    different, of = differing(snn, unit, (x,))
    assert different < 1e-4 * of
    exact = snn.double()
    assert differing(exact, exact.normalised(), (x,))[0] == 0
    standing = [node.name for node in unit.graph.nodes if node.op == "aten.mul.Tensor"]
    assert (len(standing) > 0) == (name == "fashion_resnet")  # where spikes are added to currents


def test_settings_are_kept_and_the_network_is_not_changed() -> None:
    snn = respike.from_torch(mlp(), torch.rand(30, 12), 5, schedule=respike.Pipelined(2), precision="int8")
    snn.memory_budget = 2**30
    before = {name: value.clone() for name, value in snn.state_dict().items()}
    for made in (snn.normalised(), snn.quantised()):
        for name in ("timesteps", "schedule", "delay", "memory_budget"):
            assert getattr(made, name) == getattr(snn, name)
        assert [n.where for n in made.neurons.values()] == [n.where for n in snn.neurons.values()]
    assert (snn.normalised().precision, snn.quantised().precision) == ("int8", "float32")
    assert all(torch.equal(value, before[name]) for name, value in snn.state_dict().items())


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 4))


def exponents(weight: Tensor) -> Tensor:
    """The smallest e for each row with which the row, times 2^e, is whole; found by trying."""
    found = torch.full((len(weight),), 99)
    for e in range(24, -13, -1):
        scaled = weight.flatten(1).double() * 2.0**e
        found[(scaled == scaled.round()).all(1)] = e
    return found


@pytest.mark.parametrize("name", quick_are(["mnist_cnn"], respike.models.REGISTRY))
def test_weights_and_thresholds_are_whole_numbers(name: str) -> None:
    made = respike.from_torch(respike.models.load(name), digits(name, 24), 4, correction="bias")
    for bits in (3, 8):
        assert_whole(made.quantised(bits), bits)


def assert_whole(snn: respike.SpikingNetwork, bits: int) -> None:
    weights = dict(snn.weights.named_buffers())
    seen = 0
    for node in snn.graph.nodes:
        if node.op in ("aten.linear.default", "aten.conv2d.default"):
            weight = weights[node.args[1].name]
            e = exponents(weight)
            whole = weight.flatten(1) * 2.0 ** e[:, None]
            assert bool((whole == whole.round()).all())
            assert 1 <= float(whole.abs().max()) <= 2 ** (bits - 1) - 1
            assert bool((e <= 20).all())
            seen += 1
    assert seen >= 3
    for neuron in snn.neurons.values():
        assert bool((neuron.threshold == 1).all())  # 2^e in units of 2^-e


def test_spikes_are_those_of_a_machine_that_counts_in_integers() -> None:
    x = torch.rand(50, 12)
    snn = respike.from_torch(mlp(), x, 8).quantised(8)
    spikes = list(counts(snn, (x,)).values())
    second = [node for node in snn.graph.nodes if node.op == "aten.linear.default"][1]
    weight, bias = (snn.weights.get_buffer(second.args[i].name).double() for i in (1, 2))
    neuron = list(snn.neurons.values())[1]
    unit = 2.0**12  # fine enough for all of them
    whole = [(value.double() * unit).long() for value in (weight, bias + neuron.bias, neuron.start)]
    assert all(
        torch.equal(w, v.double() * unit)
        for w, v in zip(whole, (weight, bias + neuron.bias, neuron.start), strict=True)
    )
    v = whole[2].expand(50, 30).clone()
    for step, fired in zip(spikes[0].long(), spikes[1].long(), strict=True):
        v += step @ whole[0].t() + whole[1]
        out = (v >= unit).long()
        v -= int(unit) * out
        assert torch.equal(out, fired)
    assert 0 < spikes[1].mean() < 1


def test_what_bits_cost_is_seen_by_evaluation() -> None:
    images, labels = (t[:500] for t in datasets.load("mnist").tensors)
    ann = respike.models.load("mnist_mlp")
    snn = respike.from_torch(ann, datasets.calibration(), 8)
    right = {bits: respike.evaluate(snn.quantised(bits), (images, labels), ann=ann).accuracy[-1] for bits in (2, 8, 16)}
    whole = respike.evaluate(snn, (images, labels), ann=ann).accuracy[-1]
    assert abs(right[16] - whole) <= 0.002
    assert whole - right[8] <= 0.01
    assert whole - right[2] > 0.3


class Readout(nn.Module):
    """Neurons, read by one operation with weights."""

    def __init__(self, first: nn.Module, read: Callable[[Tensor, Tensor], Tensor], weight: Tensor) -> None:
        super().__init__()
        self.first, self.read, self.weight = first, read, nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.first(x).relu(), self.weight)


def drawn(*shape: int, channels: int) -> Tensor:
    """Weights whose output channels, in that axis, differ by up to a million."""
    sizes = torch.logspace(0, 6, shape[channels]).reshape([-1 if i == channels else 1 for i in range(len(shape))])
    return (0.2 + torch.rand(*shape)) * sizes


READOUTS: dict[str, Callable[[], tuple[nn.Module, Any, Tensor]]] = {
    "factor": lambda: (nn.Conv2d(2, 4, 3), torch.mul, drawn(4, 1, 1, channels=0)),
    "factor of features": lambda: (nn.Flatten(), torch.mul, drawn(72, channels=0)),
    "factor with a batch axis": lambda: (nn.Conv2d(2, 4, 3), torch.mul, drawn(1, 4, 4, 4, channels=1)),
    "linear": lambda: (nn.Flatten(), F.linear, drawn(5, 72, channels=0)),
    "matmul": lambda: (nn.Flatten(), torch.matmul, drawn(72, 5, channels=1)),
    "addmm": lambda: (nn.Flatten(), lambda y, w: torch.addmm(w[0], y, w), drawn(72, 5, channels=1)),
    "conv, same padding": lambda: (
        nn.Conv2d(2, 4, 3),
        lambda y, w: F.conv2d(y, w, padding="same"),
        drawn(5, 4, 3, 3, channels=0),
    ),
    "conv_transpose": lambda: (nn.Conv2d(2, 4, 3), F.conv_transpose2d, drawn(4, 5, 2, 2, channels=1)),
    "conv_transpose in groups": lambda: (
        nn.Conv2d(2, 4, 3),
        lambda y, w: F.conv_transpose2d(
            y, w.expand(4, -1, -1, -1) * w.new_tensor([1, 1, 1e3, 1e3])[:, None, None, None], groups=2
        ),
        drawn(1, 3, 2, 2, channels=1),
    ),
}


@pytest.mark.parametrize("name", one_in(3, READOUTS))
def test_each_channel_has_a_grid_of_its_own(name: str) -> None:
    """With one for all, small channels would be lost, off by all that they are."""
    torch.manual_seed(0)
    model, x = Readout(*READOUTS[name]()), torch.rand(20, 2, 6, 6)
    with torch.no_grad():
        y = model(x)
    snn = respike.from_torch(model, x, 8, correction="none").normalised()
    found, exact = snn.quantised(8)(x), snn(x)
    size = exact.abs().amax([0, *range(2, y.dim())], keepdim=True)
    assert float(size.max() / size.min()) > 1e4
    # The weights before the neurons are rounded as well: a few spikes come a step earlier or later.
    errors = ((found - exact).abs() / size).mean([0, *range(2, y.dim())])
    assert float(errors.max()) < 0.05


@pytest.mark.parametrize("bits", [1, 17, 8.0, True, "8"])
def test_another_number_of_bits_is_an_error(bits: Any) -> None:
    snn = respike.from_torch(mlp(), torch.rand(30, 12), 2)
    with pytest.raises(respike.ConversionError, match="bits must be a whole number from 2 to 16"):
        snn.quantised(bits)
