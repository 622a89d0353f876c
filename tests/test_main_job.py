"""The main job on what ships in the package, and the bars it is held to."""

from __future__ import annotations

import pytest
import torch
from samples import slow

import respike
from respike.models import datasets


def test_what_ships_is_whole() -> None:
    x, y = datasets.load("mnist").tensors
    assert x.shape == (10_000, 1, 28, 28)
    assert y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    calibration = datasets.calibration()
    assert calibration.shape == (512, 1, 28, 28)
    assert (float(x.min()), float(x.max())) == (0.0, 1.0)
    # None of the calibration images is a test image.
    assert not {row.numpy().tobytes() for row in x} & {row.numpy().tobytes() for row in calibration}


@pytest.mark.parametrize(("name", "least"), [("mnist_cnn", 99.3), ("mnist_mlp", 98.5)])
def test_reference_networks_are_as_good_as_they_say(name: str, least: float) -> None:
    x, y = datasets.load("mnist").tensors
    model = respike.models.load(name)
    with torch.no_grad():
        hits = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(500), y.split(500), strict=True))
    assert hits / 100 >= least


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "points"), [(4, 0.5), (8, 0.2), (16, 0.1)])
def test_mnist_cnn_is_within_its_bar(steps: int, points: float) -> None:
    """On every tenth test image; ``scripts/evaluate_mnist.py`` shows all 10,000."""
    x, y = datasets.load("mnist").tensors
    ann = respike.models.load("mnist_cnn")
    snn = respike.from_torch(ann, datasets.calibration(), steps)
    result = respike.evaluate(snn, (x[::10], y[::10]), ann=ann)
    assert result.ann_accuracy is not None
    # A thousand images leave the gap uncertain by one or two of them: 0.1 points each.
    assert 100 * (result.ann_accuracy - result.accuracy[-1]) <= points + 0.1 + 1e-9


@pytest.mark.parametrize("name", [slow("mnist_cnn"), "mnist_mlp"])
def test_a_quick_conversion_agrees_with_its_ann(name: str) -> None:
    x, y = datasets.load("mnist").tensors
    ann = respike.models.load(name)
    snn = respike.from_torch(ann, datasets.calibration()[:128], 8)
    assert respike.evaluate(snn, (x[:200], y[:200]), ann=ann).agreement[-1] >= 0.98


def test_unknown_names_are_errors() -> None:
    with pytest.raises(ValueError, match=r"known: .*, mnist_cnn, mnist_events, mnist_mlp"):
        respike.models.load("mnist")
    with pytest.raises(ValueError, match="known: mnist, fashion_mnist"):
        datasets.load("cifar")
    with pytest.raises(ValueError, match="does not ship"):
        datasets.load("mnist", train=True)
