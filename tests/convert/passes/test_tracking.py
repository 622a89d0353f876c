"""Where neurons that follow a signal of either sign stand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import respike
from respike.convert.graph import RELU, Node

WIDTH, HEADS = 8, 2


class Attention(nn.Module):
    """Self-attention behind a ReLU; the three projections in one layer or in three."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        sizes = [3 * WIDTH] if packed else [WIDTH] * 3
        self.projections = nn.ModuleList(nn.Linear(WIDTH, size) for size in sizes)
        self.last = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        if len(self.projections) == 1:
            parts = self.projections[0](x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        else:
            parts = tuple(f(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for f in self.projections)
        mixed = F.scaled_dot_product_attention(*parts)
        out: Tensor = self.last(mixed.transpose(1, 2).flatten(2)).mean(1)
        return out


def spikes(snn: respike.SpikingNetwork) -> list[Node]:
    return [node for node in snn.graph.nodes if node.op == RELU]


@pytest.mark.parametrize("packed", [False, True])
def test_the_neurons_of_attention_have_the_channels_of_its_projections(packed: bool) -> None:
    torch.manual_seed(0)
    model, x = Attention(packed).eval(), torch.randn(16, 5, WIDTH)
    with torch.no_grad():
        for layer in model.projections:
            layer.weight *= torch.logspace(-1, 1, len(layer.weight))[:, None]  # one threshold would not do for all
    snn = respike.from_torch(model, x, timesteps=32, correction="none")
    behind = {
        node.args[0].name: layer.threshold for node, layer in zip(spikes(snn), snn.layers().values(), strict=True)
    }
    found = [theta for name, theta in behind.items() if name.startswith("linear_")]
    assert [theta.numel() for theta in found] == ([3 * WIDTH] if packed else [WIDTH] * 3)
    assert all(float(theta.max() / theta.min()) > 10 for theta in found)
    with torch.no_grad():
        wanted = model(x)
    assert float((snn(x) - wanted).norm() / wanted.norm()) < 0.05


def test_what_others_read_as_numbers_stays_so() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            parts = self.second(self.first(x).relu()).unflatten(1, (2, 3))
            out: Tensor = self.last(parts[:, 0] * parts[:, 1]) + parts.mean((1, 2))[:, None]
            return out

    torch.manual_seed(0)
    model, x = Both().eval(), torch.randn(32, 4)
    snn = respike.from_torch(model, x, timesteps=64)
    with torch.no_grad():
        assert torch.allclose(snn(x), model(x), atol=0.05)
    read = {name for node in snn.graph.nodes for name in node.refs} | set(snn.graph.output_names())
    assert all(node.name in read for node in snn.graph.nodes)
