"""torchvision's classifiers with random weights, for the scripts that try every family."""

from __future__ import annotations

import torch
from torch import nn

FAMILIES = [
    "alexnet",
    "vgg11",
    "vgg11_bn",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "googlenet",
    "inception_v3",
    "squeezenet1_0",
    "squeezenet1_1",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "swin_v2_t",
    "maxvit_t",
]
"""The smallest of each family, and of each that is built in another way."""


def every() -> list[str]:
    """Every classifier that torchvision names, of each size."""
    from torchvision import models

    return list(models.list_models(module=models))


def build(name: str, side: int | None = None) -> nn.Module:
    """A network with random weights in every branch, batch norm as after training.

    Args:
        name: As torchvision calls it.
        side: Of its input images; the smallest round size that the family takes by default.
    """
    from torchvision import models

    side = side or image_size(name)
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    sized = {"image_size": side} if name.startswith("vit") else {}
    model: nn.Module = models.get_model(name, weights=None, **quick, **sized)
    model.eval()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("layer_scale"):  # ConvNeXt's begins at 1e-6, where no branch counts
            nn.init.constant_(parameter, 0.5)
        elif not bool(parameter.any()):  # ViT's head, and biases, with which neurons would stand at ties
            nn.init.normal_(parameter, std=0.05)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = None  # a plain mean over what follows
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        model(torch.rand(8, 3, side, side))
    return model.eval()


def image_size(name: str) -> int:
    """The smallest round size that the family takes."""
    if name.startswith("vit"):
        return 28 if name.endswith("14") else 32
    return 224 if name.startswith("maxvit") else 96 if name.startswith("inception") else 64
