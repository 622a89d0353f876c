"""Masks that are added to scores."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_smooth_activations import graph_of
from torch import Tensor, nn

import respike

UNSEEN = torch.ones(4, 4, dtype=torch.bool).triu(1)
MASKS = {
    "hides": (torch.zeros(4, 4).masked_fill(UNSEEN, -math.inf), {"masked_fill"}),
    "hides and adds": (torch.linspace(-1, 1, 16).reshape(4, 4).masked_fill(UNSEEN, -math.inf), {"masked_fill", "add"}),
    "only adds": (torch.linspace(-1, 1, 16).reshape(4, 4), {"add"}),
    "hides by a large number": (torch.zeros(4, 4).masked_fill(UNSEEN, -1e30), {"add"}),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("first", [False, True])
def test_what_a_mask_becomes(name: str, first: bool) -> None:
    mask, wanted = MASKS[name]

    def masked(x: Tensor) -> Tensor:
        scores = x.unsqueeze(1) * x.unsqueeze(2)
        return (mask + scores if first else scores + mask).softmax(-1)

    torch.manual_seed(0)
    graph, error = graph_of(masked, torch.randn(8, 4))
    assert error < 1e-5
    scores = [n.op.split(".")[1] for n in graph.nodes if n.shape is not None and len(n.shape) == 3]
    assert wanted == {"masked_fill", "add"}.intersection(scores)


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project, self.head = nn.Linear(8, 24), nn.Linear(8, 3)
        self.register_buffer("mask", MASKS["hides"][0])

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).chunk(3, -1)
        return self.head(F.scaled_dot_product_attention(q, k, v, self.mask)).mean(1)


def test_a_network_with_an_added_mask_is_saved(tmp_path: Path) -> None:
    model = Masked().eval()
    x = torch.randn(16, 4, 8, generator=torch.Generator().manual_seed(1))
    snn = respike.from_torch(model, x, timesteps=32)
    found = snn(x)
    assert (found - model(x)).abs().max() < 0.05 * model(x).abs().max()
    snn.save(tmp_path / "net.respike")
    assert torch.equal(respike.load(tmp_path / "net.respike")(x), found)
