"""The Fashion-MNIST references: that the weights load, what each network is there for, and that it converts."""

from __future__ import annotations

from importlib import resources

import pytest
import torch
from exported import RELU
from torch import nn

import respike
from respike.convert import normal_form, relative_error
from respike.models import REGISTRY, datasets

NAMES = [name for name, reference in REGISTRY.items() if reference.dataset == "fashion_mnist"]


def test_all_weights_together_stay_small() -> None:
    files = {file.name: len(file.read_bytes()) for file in (resources.files("respike.models") / "weights").iterdir()}
    assert set(files) == {f"{name}.safetensors" for name in REGISTRY}
    assert sum(files.values()) < 3.5e6


@pytest.mark.parametrize("name", NAMES)
def test_weights_load_and_shapes_hold(name: str) -> None:
    model = respike.models.load(name)
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    with torch.no_grad():
        logits = model(torch.rand(3, 1, 28, 28))
    assert logits.shape == (3, 10)
    assert logits.isfinite().all()


def test_each_network_has_what_it_is_there_for() -> None:
    kinds = {name: {type(m) for m in respike.models.load(name).modules()} for name in NAMES}
    assert kinds["fashion_resnet"] >= {nn.BatchNorm2d, nn.ReLU, nn.AdaptiveAvgPool2d}
    assert kinds["fashion_vgg"] >= {nn.MaxPool2d, nn.ReLU}
    assert nn.BatchNorm2d not in kinds["fashion_vgg"]
    assert kinds["fashion_mobilenet"] >= {nn.BatchNorm2d, nn.ReLU6}
    layers = [m for m in respike.models.load("fashion_vgg").modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert all(m.bias is not None and m.bias.abs().max() > 1e-3 for m in layers)
    v3, vit = (list(respike.models.load(f"fashion_{name}").modules()) for name in ("mobilenet_v3", "vit"))
    assert {type(m) for m in v3} >= {nn.BatchNorm2d, nn.Hardswish, nn.Hardsigmoid}
    assert sum(isinstance(m, nn.Hardsigmoid) for m in v3) == 5  # a gate in each block
    assert {type(m) for m in vit} >= {nn.LayerNorm, nn.GELU}
    assert all(type(m) is not nn.ReLU for m in vit)
    convolutions = [m for m in respike.models.load("fashion_mobilenet").modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.groups == m.in_channels > 1 for m in convolutions) == 5


@pytest.mark.parametrize("name", NAMES)
def test_each_network_has_a_normal_form(name: str) -> None:
    model, x = respike.models.load(name), datasets.calibration()[:2]
    assert relative_error(normal_form(model, (x,)), model, (x,)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_network_converts(name: str) -> None:
    """On digits, since no image of clothing ships; what a network trained on clothes says of them is less sure."""
    x = datasets.calibration()
    ann = respike.models.load(name)
    code = {"max_spikes": 4} if name in RELU else {"neuron": "multi_threshold"}
    snn = respike.from_torch(ann, x[:32], 16, threshold="max", correction="none", **code)
    assert respike.evaluate(snn, (x[100:150], torch.zeros(50)), ann=ann).agreement[-1] >= 0.8
