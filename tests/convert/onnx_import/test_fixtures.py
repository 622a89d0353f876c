"""Files that Keras and scikit-learn wrote, against what Keras and scikit-learn say; see fixtures/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from samples import one_in

import respike
from respike.convert import ConversionError, load_onnx, relative_error, verify_onnx
from respike.convert.tracing.normal_form import normal_form

FIXTURES = Path(__file__).parent / "fixtures"
OUTPUTS = {
    "sklearn_classifier": ["out_activations_result"],
    "sklearn_pipeline": ["out_activations_result"],
    "sklearn_binary": ["probabilities"],
}
NAMES = sorted(path.stem for path in FIXTURES.glob("*.onnx"))


def fixture(name: str) -> tuple[Path, torch.Tensor, torch.Tensor]:
    with np.load(FIXTURES / f"{name}.npz") as data:
        return FIXTURES / f"{name}.onnx", torch.from_numpy(data["x"]), torch.from_numpy(data["y"])


def test_there_are_nine() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
def test_imports_with_the_frameworks_own_output(name: str) -> None:
    path, x, y = fixture(name)
    net = load_onnx(path, outputs=OUTPUTS.get(name))
    with torch.no_grad():
        torch.testing.assert_close(net(x).reshape(y.shape), y, atol=1e-5, rtol=1e-4)
    graph = normal_form(net, (x,))
    assert relative_error(graph, net, (x,)) < 1e-5


@pytest.mark.parametrize("name", one_in(3, NAMES))
def test_converts_and_its_error_falls_with_time(name: str) -> None:
    """As ReLU networks of PyTorch do: at least threefold when T grows fourfold."""
    path, x, y = fixture(name)
    snn = respike.from_onnx(path, x, 16, outputs=OUTPUTS.get(name), threshold="max", correction="none")
    with torch.no_grad():
        steps = snn.simulate(x, timesteps=256).reshape(len(x), 256, -1)
    errors = [float((steps[:, t - 1] - y.reshape(len(y), -1)).square().mean().sqrt()) for t in (32, 256)]
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize("name", ["sklearn_classifier", "sklearn_pipeline"])
def test_a_classifiers_maps_are_refused_with_what_to_take_instead(name: str) -> None:
    path, _, _ = fixture(name)
    with pytest.raises(
        ConversionError, match=r"'output_probability' is a sequence.*outputs=\['out_activations_result'\]"
    ):
        load_onnx(path)


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_agrees(name: str) -> None:
    pytest.importorskip("onnxruntime")
    path, x, _ = fixture(name)
    assert verify_onnx(load_onnx(path, outputs=OUTPUTS.get(name)), path, (x,)) < 1e-5
