"""MobileNetV3 in small for Fashion-MNIST: hardswish, and squeeze-and-excitation, which multiplies two signals.

After Howard et al., "Searching for MobileNetV3", ICCV 2019. Grey values in [0, 1] come in as they are.
"""

from __future__ import annotations

from torch import Tensor, nn

from .fashion import conv_bn


class SqueezeExcitation(nn.Module):
    """Every channel times a gate in [0, 1] that two 1x1 convolutions compute from the means of all channels.

    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018; the gate is a hardsigmoid, as in MobileNetV3.

    Shape:
        Input and output ``(N, channels, H, W)``.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.gate(x)
        return out


class GatedResidual(nn.Module):
    """An inverted residual of MobileNetV3: 1x1 convolution to more channels, depthwise, their gates, 1x1 back.

    Shape:
        Input ``(N, c_in, H, W)``; output ``(N, c_out, H / stride, W / stride)``; ``x`` is added where the two agree.
    """

    def __init__(self, c_in: int, c_out: int, stride: int, expand: int, kernel: int) -> None:
        super().__init__()
        hidden = expand * c_in
        self.branch = nn.Sequential(
            *conv_bn(c_in, hidden, 1),
            nn.Hardswish(),
            *conv_bn(hidden, hidden, kernel, stride, groups=hidden),
            nn.Hardswish(),
            SqueezeExcitation(hidden, hidden // 4),
            *conv_bn(hidden, c_out, 1),
        )
        self.residual = c_in == c_out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.branch(x) if self.residual else self.branch(x)
        return out


class FashionMobileNetV3(nn.Module):
    """MobileNetV3 in small: five gated inverted residuals with hardswish, two linear layers; 149 k weights.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; blocks at 14x14 and 7x7; output ``(N, 10)``
        logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(1, 16, 3, 2), nn.Hardswish())
        specs = ((16, 24, 1, 4, 3), (24, 24, 1, 3, 3), (24, 48, 2, 4, 5), (48, 48, 1, 4, 5), (48, 48, 1, 4, 5))
        self.blocks = nn.Sequential(*(GatedResidual(*spec) for spec in specs))
        self.head = nn.Sequential(
            *conv_bn(48, 192, 1),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(192, 128),
            nn.Hardswish(),
            nn.Linear(128, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits
