"""Reference networks with trained weights, and the data sets to judge them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from torch import nn

from ..errors import InputError
from . import datasets as datasets
from . import policies as policies
from .event_camera import EventCamera as EventCamera
from .event_camera import to_frames as to_frames
from .event_frames import EventFrames as EventFrames
from .fashion import FashionMobileNet as FashionMobileNet
from .fashion import FashionResNet as FashionResNet
from .fashion import FashionVGG as FashionVGG
from .mnist import MnistCNN as MnistCNN
from .mnist import MnistEventsCNN as MnistEventsCNN
from .mnist import MnistMLP as MnistMLP
from .mobilenet_v3 import FashionMobileNetV3 as FashionMobileNetV3
from .vit import FashionViT as FashionViT


@dataclass(frozen=True)
class Reference:
    """A reference network: how to build it, and the data set it was trained on.

    Attributes:
        build: Makes the network, untrained.
        dataset: A name that ``datasets.load`` takes.
        smooth: The network has smooth activations, products of signals or attention; no ReLU network.
    """

    build: Callable[[], nn.Module]
    dataset: str
    smooth: bool = False


REGISTRY = {
    "fashion_mobilenet": Reference(FashionMobileNet, "fashion_mnist"),
    "fashion_mobilenet_v3": Reference(FashionMobileNetV3, "fashion_mnist", smooth=True),
    "fashion_resnet": Reference(FashionResNet, "fashion_mnist"),
    "fashion_vgg": Reference(FashionVGG, "fashion_mnist"),
    "fashion_vit": Reference(FashionViT, "fashion_mnist", smooth=True),
    "mnist_cnn": Reference(MnistCNN, "mnist"),
    "mnist_events": Reference(MnistEventsCNN, "mnist_events"),
    "mnist_mlp": Reference(MnistMLP, "mnist"),
}


def load(name: str) -> nn.Module:
    """A trained reference network, in eval mode.

    Args:
        name: A key of ``REGISTRY``: ``"mnist_cnn"``, ``"mnist_mlp"``, ``"mnist_events"``,
            ``"fashion_resnet"``, ``"fashion_vgg"``, ``"fashion_mobilenet"``, ``"fashion_mobilenet_v3"`` or
            ``"fashion_vit"``.

    Raises:
        ValueError: there is no reference network of that name.
    """
    if not isinstance(name, str) or name not in REGISTRY:
        raise InputError(f"unknown reference network {name!r}; known: {', '.join(sorted(REGISTRY))}")
    from safetensors.torch import load as read_safetensors

    model = REGISTRY[name].build()
    weights = (resources.files("respike.models") / "weights" / f"{name}.safetensors").read_bytes()
    model.load_state_dict(read_safetensors(weights))
    return model.eval()
