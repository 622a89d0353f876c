"""Some layers calibrated again, the others left as they are."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from held_back import all_calibrate
from torch import nn

import respike


@pytest.fixture(scope="module")
def setup() -> tuple[nn.Sequential, torch.Tensor, respike.SpikingNetwork]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    ).eval()
    x = torch.rand(90, 1, 8, 8)
    return model, x, respike.from_torch(model, all_calibrate(x), 5)


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_a_layer_becomes_what_calibration_made_of_it(setup: tuple[nn.Module, torch.Tensor, respike.SpikingNetwork]):
    """The first layer's neurons see a constant current: nothing is drawn by chance, and the samples are the same."""
    _, x, snn = setup
    broken = copy.deepcopy(snn)
    first, second = broken.neurons.values()
    first.threshold *= 7
    first.bias += 3
    weight = next(n for n in broken.graph.nodes if n.op == "aten.conv2d.default").args[1].name
    broken.weights.get_buffer(weight).zero_()
    held = {name: tensor.clone() for name, tensor in broken.state_dict().items()}
    mended = broken.recalibrated([x], "1 (ReLU)")
    assert all(torch.equal(held[name], tensor) for name, tensor in broken.state_dict().items())  # it is not changed
    assert same(mended.neurons[next(iter(snn.neurons))], snn.neurons[next(iter(snn.neurons))])
    assert same(list(mended.neurons.values())[1], second)
    torch.testing.assert_close(mended(x), snn(x), rtol=1e-4, atol=1e-4)


def test_only_the_layers_that_are_named_change(setup: tuple[nn.Module, torch.Tensor, respike.SpikingNetwork]) -> None:
    model, x, snn = setup
    broken = copy.deepcopy(snn)
    for neuron in broken.neurons.values():
        neuron.threshold /= 20
    mended = broken.recalibrated(x, ["4"])
    assert same(next(iter(mended.neurons.values())), next(iter(broken.neurons.values())))
    assert not same(list(mended.neurons.values())[1], list(broken.neurons.values())[1])
    both = mended.recalibrated(x, ["1", "4"])
    with torch.no_grad():
        wanted = model(x)
        errors = [float((network(x) - wanted).norm() / wanted.norm()) for network in (broken, both, snn)]
    assert errors[1] < 0.3 * errors[0]
    assert errors[1] < 1.2 * errors[2]


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": respike.Pipelined(2), "neuron": "lif"},
        {"schedule": "layerwise", "threshold": respike.MSE(granularity="layer")},
        {"neuron": "multi_threshold", "precision": "bfloat16"},
        {"max_spikes": 3, "correction": "none"},
    ],
)
def test_settings_are_kept(setup: tuple[nn.Module, torch.Tensor, respike.SpikingNetwork], options: dict) -> None:
    model, x, _ = setup
    snn = respike.from_torch(model, x, 4, **options)
    mended = snn.recalibrated(x, "4")
    assert mended.closeness is None  # what judged the network may be among what calibrates it now
    about = [{**network.as_dict(), "layers": None, "closeness": None} for network in (snn, mended)]
    assert about[0] == about[1]
    for a, b in zip(snn.neurons.values(), mended.neurons.values(), strict=True):
        assert a.options == b.options
        assert a.threshold.shape == b.threshold.shape
    with torch.no_grad():
        wanted = model(x)
        errors = [float((network(x) - wanted).norm()) for network in (snn, mended)]
    assert errors[1] < 1.1 * errors[0]


def test_a_loaded_network_needs_the_model(
    setup: tuple[nn.Module, torch.Tensor, respike.SpikingNetwork], tmp_path: Path
) -> None:
    model, x, snn = setup
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    with pytest.raises(respike.ConversionError, match="pass ann=model"):
        loaded.recalibrated(x, "4")
    assert torch.equal(loaded.recalibrated(x, "4", ann=model)(x), snn.recalibrated(x, "4")(x))


def test_names_that_fit_nothing_are_refused(setup: tuple[nn.Module, torch.Tensor, respike.SpikingNetwork]) -> None:
    _, x, snn = setup
    with pytest.raises(
        respike.ConversionError, match=r"called '4 \(Relu\)'; did you mean '4 \(ReLU\)'\?.*1 \(ReLU\), 4"
    ):
        snn.recalibrated(x, "4 (Relu)")
    with pytest.raises(respike.ConversionError, match="name at least one layer"):
        snn.recalibrated(x, [])
    with pytest.raises(respike.ConversionError, match="is empty"):
        snn.recalibrated(x[:0], "4")
