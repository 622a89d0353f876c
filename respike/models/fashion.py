"""Three ReLU networks for Fashion-MNIST, one of each family that conversion has to cope with.

``FashionResNet`` adds residuals, ``FashionVGG`` has biases and no batch normalisation, and
``FashionMobileNet`` has depthwise convolutions and ReLU6. All take grey values in [0, 1] as they are.
"""

from __future__ import annotations

from torch import Tensor, nn


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size but for its stride, without bias, and its batch normalisation."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a strided 1x1 convolution where shapes differ.

    Shape:
        Input ``(N, c_in, H, W)``; output ``(N, c_out, H / stride, W / stride)``.
    """

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*conv_bn(c_in, c_out, 3, stride), nn.ReLU(), *conv_bn(c_out, c_out, 3))
        same = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_bn(c_in, c_out, 1, stride))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return out


class FashionResNet(nn.Module):
    """ResNet-14: stages of 16, 32 and 64 channels, two blocks each, global average pooling; 175 k weights.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; stages at 28x28, 14x14 and 7x7; output
        ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(1, 16, 3), nn.ReLU())
        blocks = [BasicBlock(*spec) for spec in ((16, 16, 1), (16, 16, 1))]
        blocks += [BasicBlock(*spec) for spec in ((16, 32, 2), (32, 32, 1))]
        blocks += [BasicBlock(*spec) for spec in ((32, 64, 2), (64, 64, 1))]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits


class FashionVGG(nn.Module):
    """VGG-8: three times two biased 3x3 convolutions and a max-pool, one hidden linear layer; 315 k weights.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; pooled to 14x14, 7x7 and 3x3; output
        ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in ((1, 32), (32, 64), (64, 96)):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(c_out, c_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(96 * 3 * 3, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )
        for module in self.features:
            if isinstance(module, nn.Conv2d):  # with nothing to normalise them, signals must start at the right size
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits


class InvertedResidual(nn.Module):
    """1x1 convolution to ``expand`` times the channels, depthwise 3x3, 1x1 back; a residual where shapes agree.

    Shape:
        Input ``(N, c_in, H, W)``; output ``(N, c_out, H / stride, W / stride)``.
    """

    def __init__(self, c_in: int, c_out: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = expand * c_in
        self.branch = nn.Sequential(
            *conv_bn(c_in, hidden, 1),
            nn.ReLU6(),
            *conv_bn(hidden, hidden, 3, stride, groups=hidden),
            nn.ReLU6(),
            *conv_bn(hidden, c_out, 1),
        )
        self.residual = c_in == c_out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.branch(x) if self.residual else self.branch(x)
        return out


class FashionMobileNet(nn.Module):
    """MobileNetV2 in small: five inverted residual blocks with ReLU6, global average pooling; 69 k weights.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; blocks at 14x14 and 7x7; output ``(N, 10)``
        logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(1, 16, 3), nn.ReLU6())
        specs = ((16, 24, 2, 3), (24, 24, 1, 4), (24, 48, 2, 4), (48, 48, 1, 4), (48, 48, 1, 4))
        self.blocks = nn.Sequential(*(InvertedResidual(*spec) for spec in specs))
        self.head = nn.Sequential(
            *conv_bn(48, 160, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits
