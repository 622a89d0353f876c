"""What PyTorch's two exporters write; ``scripts/import_families.py`` does it for whole families."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import import_families as script
import numpy as np
import pytest
import torch
from pretrained.families import build
from samples import quick_are, slow
from torch import nn

import respike
from respike.convert import load_onnx, verify_onnx

pytest.importorskip("onnxscript")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("mobilenet_v2", "dynamo-18"),
        ("squeezenet1_1", "dynamo-23"),
        ("shufflenet_v2_x1_0", "legacy-13"),
        ("mobilenet_v2", "legacy-20"),
    ],
)
def test_families(name: str, exporter: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    side = script.image_side(name)
    error = script.cell(build(name, side), side, exporter, tmp_path / "model.onnx")
    assert isinstance(error, float) and error < script.BAR, error


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), [("mobilenet_v3_small", "dynamo-18"), ("vit_b_16", "legacy-17")])
def test_the_spiking_network_of_a_file_is_that_of_its_module(name: str, exporter: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    side, path = script.image_side(name), tmp_path / "model.onnx"
    model = build(name, side)
    wanted = script.Spiking(model, side)
    script.export(model, torch.rand(2, 3, side, side), exporter, path)
    assert wanted.cell(path) <= max(script.BAR, 2 * wanted.noise)


class Awkward(nn.Module):
    """Shape arithmetic, splits, resizes, pads and pools that exporters spell in many nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding="same")
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, output_padding=1)
        self.prelu = nn.PReLU(4)
        self.head = nn.Linear(4 * 5 * 5, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.pad(x, (1, 2, 0, 1), mode="reflect")
        x = torch.relu(self.conv(x))
        a, b = x.chunk(2, 1)
        x = torch.cat([b, a], 1).reshape(x.shape[0], 2, 4, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        x = nn.functional.avg_pool2d(x, 3, 2, ceil_mode=True, padding=1)
        x = self.prelu(self.up(nn.functional.relu6(x)))
        x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        x = nn.functional.avg_pool2d(nn.functional.max_pool2d(x, 2), 5, 4)
        return self.head(x.view(x.size(0), -1))


def export(model: nn.Module, x: torch.Tensor, path: Path, **options: Any) -> None:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, **options)


BATCH = {0: torch.export.Dim("batch", min=1, max=4096)}
SPELLINGS: dict[str, dict[str, Any]] = {
    "dynamo": {"dynamo": True, "dynamic_shapes": (BATCH,), "verbose": False},
    "legacy": {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}},
    "legacy, fixed batch": {"dynamo": False},
}


@pytest.mark.parametrize("spelling", quick_are(["legacy"], SPELLINGS))
def test_awkward_network(spelling: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Awkward().eval()
    export(model, torch.rand(2, 3, 17, 17), tmp_path / "net.onnx", opset_version=18, **SPELLINGS[spelling])
    x = torch.rand(5, 3, 17, 17)
    net = load_onnx(tmp_path / "net.onnx")
    with torch.no_grad():
        torch.testing.assert_close(net(x), model(x), atol=1e-5, rtol=1e-4)
    assert verify_onnx(net, tmp_path / "net.onnx") < 1e-5
    snn = respike.from_onnx(tmp_path / "net.onnx", x, 8, threshold="max", correction="none")
    twin = respike.from_torch(model, x, 8, threshold="max", correction="none")
    assert len(snn.neurons) == len(twin.neurons)


def both_ways(path: Path, **options: Any) -> tuple[respike.SpikingNetwork, respike.SpikingNetwork]:
    """The MNIST CNN converted as a module, and from its file."""
    model, calibration = respike.models.load("mnist_cnn"), respike.models.datasets.calibration()[:128]
    return respike.from_torch(model, calibration, 8, **options), respike.from_onnx(path, calibration, 8, **options)


def export_mnist_cnn(path: Path, spelling: str) -> None:
    kept = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    options = SPELLINGS.get(spelling, {**SPELLINGS["legacy"], **kept})
    export(respike.models.load("mnist_cnn"), respike.models.datasets.calibration()[:2], path, **options)


@pytest.mark.parametrize("spelling", [slow("dynamo"), slow("legacy, batch norm kept")])
def test_the_mnist_cnn_gives_the_same_spikes(spelling: str, tmp_path: Path) -> None:
    """Bit for bit: the file holds the module's weights, or batch norm that we fold as we do the module's."""
    export_mnist_cnn(tmp_path / "net.onnx", spelling)
    snn, twin = both_ways(tmp_path / "net.onnx")
    images = respike.models.datasets.load("mnist").tensors[0][:50]
    test = (images, torch.zeros(50, dtype=torch.long))
    spikes = [respike.evaluate(net, test) for net in (snn, twin)]
    np.testing.assert_array_equal(spikes[0].spikes, spikes[1].spikes)
    assert torch.equal(snn.simulate(images), twin.simulate(images))


@pytest.mark.parametrize("spelling", ["legacy", "legacy, fixed batch"])
def test_the_mnist_cnn_folded_by_the_exporter_gives_the_same_network_but_for_rounding(
    spelling: str, tmp_path: Path
) -> None:
    """The exporter rounds folded weights in its own way, by up to 2e-7, and a maximum over sums follows by as much.

    Spikes are not compared: a potential within rounding of its threshold falls on either side, and which do
    depends on the order in which a processor sums.
    """
    export_mnist_cnn(tmp_path / "net.onnx", spelling)
    snn, twin = both_ways(tmp_path / "net.onnx", threshold="max", correction="none")
    for ours, theirs in zip(snn.neurons.values(), twin.neurons.values(), strict=True):
        torch.testing.assert_close(theirs.threshold, ours.threshold, rtol=1e-4, atol=0)
    images = respike.models.datasets.load("mnist").tensors[0][:50]
    model = respike.models.load("mnist_cnn")
    with torch.no_grad():
        torch.testing.assert_close(load_onnx(tmp_path / "net.onnx")(images), model(images), atol=1e-4, rtol=0)
