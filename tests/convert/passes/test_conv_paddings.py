"""Paddings that are words become numbers where numbers say the same."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn

import respike
from respike.convert.tracing.normal_form import normal_form


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("seed", range(20))
def test_the_network_computes_the_same(seed: int) -> None:
    """``normal_form`` holds the graph against the model."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    rank = draw.choice([1, 2, 3])
    sides = [draw.choice([1, 2, 3, 5]) for _ in range(rank)]
    dilation: Any = draw.choice([1, 2, [draw.choice([1, 3]) for _ in range(rank)]])
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    layer = kind(4, 6, sides, padding=(word := draw.choice(["same", "valid"])), dilation=dilation, bias=seed % 2 == 0)
    graph = normal_form(nn.Sequential(layer, nn.ReLU(), nn.Flatten()).eval(), (torch.randn(2, 4, *[15] * rank),))
    apart = [dilation] * rank if isinstance(dilation, int) else dilation
    even = word == "valid" or all(d * (k - 1) % 2 == 0 for d, k in zip(apart, sides, strict=True))
    assert (f"aten.conv{rank}d.{'default' if even else 'padding'}") in {node.op for node in graph.nodes}


def test_such_layers_add_up_events() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, padding="same"), nn.ReLU(), nn.Conv2d(32, 32, 3, padding="same"), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 64, 10)).eval()
    snn = respike.from_torch(model, torch.rand(16, 3, 8, 8), 4, correction="none")
    assert snn.synapses()["2 (Conv2d)"] == "adds up events"
