"""Plain ReLU networks for MNIST, as images and as events; the references that ship with trained weights."""

from __future__ import annotations

from torch import Tensor, nn


class MnistMLP(nn.Module):
    """784-256-128-10 perceptron with ReLUs.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; output ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits


class MnistCNN(nn.Module):
    """Three conv-BN-ReLU-maxpool blocks, one hidden linear layer: four ReLUs, 131 k weights.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; output ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for c_in, c_out in ((1, 32), (32, 64), (64, 64)):
            blocks += [
                nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(c_out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(64 * 3 * 3, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits


class MnistEventsCNN(nn.Module):
    """Three strided convolutions and a linear layer without biases: three ReLUs, 63 k weights.

    Without biases the output is in proportion to the input: twice as many events give twice the scores, and the
    decision depends neither on how long events were counted nor on how many frames the recording is cut into.

    Shape:
        Input ``(N, 2, 34, 34)``, events of falling and rising brightness; output ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out, kernel in ((2, 24, 5), (24, 48, 5), (48, 48, 3)):
            layers += [nn.Conv2d(c_in, c_out, kernel, stride=2, padding=kernel // 2, bias=False), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(48 * 5 * 5, 10, bias=False))
        for module in self.features:
            if isinstance(module, nn.Conv2d):  # with nothing to normalise them, signals must start at the right size
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
