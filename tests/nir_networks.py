"""Small networks that NIR can say, converted, and the spikes that they send."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning, SpikingNetwork


def in_256ths(x: Tensor) -> Tensor:
    """Numbers that float32 multiplies and adds up without rounding, as the weights of ``quantised``."""
    return (x * 256).round() / 256


def converted(model: nn.Module, x: Any, steps: int = 4, **options: Any) -> SpikingNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        return respike.from_torch(model.eval(), x, steps, **options)


def recorded(snn: SpikingNetwork, x: Tensor) -> list[Tensor]:
    """The spikes ``(T, N, ...)`` of each layer, in order."""
    seen: dict[str, list[Tensor]] = {}
    for _ in snn.blocks([x], recorder=lambda node, events, sent: seen.setdefault(node.name, []).append(events)):
        pass
    return [torch.cat(found) for found in seen.values()]


class Residual(nn.Module):
    """Signals added to themselves, to those of other layers, subtracted, scaled; constant currents at the sums."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 1, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.first(x))
        b = F.relu(self.second(a) + a)
        c = F.relu(b + b - a * 0.5)
        shared = self.third(c)
        d, e = F.relu(shared), F.relu(shared + a)
        return self.head((d + e - -c).mean((2, 3)))  # type: ignore[no-any-return]


class Sums(nn.Module):
    """Neurons that read nothing but sums of spikes, and an output that is one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        a, b = F.relu(self.first(x)), F.relu(self.second(x))
        c = F.relu(a - b / 2)
        return a + c


IMAGES = (2, 8, 6)
NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "residual": (Residual, IMAGES),
    "sums": (Sums, (6,)),
    "average_pools": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(4, 3),
        ),
        IMAGES,
    ),
    "pool_before_neurons": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)), IMAGES
    ),
    "padded_pool": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2, 2, 1), nn.Flatten(), nn.Linear(48, 3)),
        IMAGES,
    ),
    "groups_and_batch_norm": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.Conv2d(4, 8, 3, 2, 1, groups=4), nn.ReLU(),
            nn.Flatten(), nn.Linear(48, 3),
        ),
        IMAGES,
    ),
    "sides": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, (3, 1), padding=(1, 0), bias=False), nn.ReLU(), nn.Conv2d(4, 4, (1, 5), (2, 1)), nn.ReLU(),
            nn.Conv2d(4, 4, (2, 4), padding="same"), nn.ReLU(), nn.Conv2d(4, 3, 2, dilation=(2, 1), padding=(2, 0)),
        ),
        IMAGES,
    ),
    "one_dimension": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3, 2, 1), nn.ReLU(), nn.AvgPool1d(2), nn.Conv1d(4, 4, 2, groups=2), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2),
        ),
        (2, 16),
    ),
    "spikes_out": (lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU()), (6,)),
}  # fmt: skip
