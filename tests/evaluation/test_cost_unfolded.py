"""All products of a network against brute force: unfolding every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn

import respike


class Blocks(nn.Module):
    """Stride, padding, dilation, groups, a residual, a pool and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)
        self.c = nn.Conv2d(6, 6, 3, padding=1)
        self.d = nn.Linear(6 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.b(F.relu(self.a(x))))
        y = F.relu(self.c(y) + y)
        return self.d(F.max_pool2d(y, 2, ceil_mode=True).flatten(1))


def patches(x: Tensor, conv: nn.Conv2d) -> float:
    """All the products of a convolution whose weights are 1: what its windows see, for each output channel."""
    seen = F.unfold(x.double(), conv.kernel_size, conv.dilation, conv.padding, conv.stride).sum()
    return float(seen) * conv.out_channels / conv.groups


@pytest.mark.parametrize(
    "options", one_in(2, [{}, {"max_spikes": 3}, {"neuron": "signed"}, {"neuron": "multi_threshold"}])
)
def test_all_synops_are_those_of_unfolding_every_step(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, x = Blocks().eval(), torch.rand(20, 2, 7, 7) - 0.2
    snn = respike.from_torch(model, x, 5, **options)
    result = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)), ann=model, batch_size=6)
    told: list[Tensor] = []
    (block,) = snn.blocks([x], recorder=lambda node, events, values: told.append(events), length=5)
    assert len(block[0]) == 5
    first, second, third, pooled = (events.cumsum(0) for events in told)
    for t in range(5):
        synops = [patches(first[t], model.b), patches(second[t], model.c), 0.0, float(pooled[t].sum()) * 3]
        np.testing.assert_allclose([layer.synops[t] * 20 for layer in result.layers], synops, rtol=1e-12)
        # The residual adds each spike once; each spike is added to a sum, and compared in its one window.
        direct = [0.0, float(second[t].sum()), 2 * float(third[t].sum()), 0.0]
        np.testing.assert_allclose([layer.direct[t] * 20 for layer in result.layers], direct, rtol=1e-12)


def test_needed_macs_are_those_of_unfolding_what_is_not_zero() -> None:
    torch.manual_seed(0)
    model, x = Blocks().eval(), (torch.rand(20, 2, 7, 7) - 0.5).relu()
    snn = respike.from_torch(model, x, 2)
    result = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)), ann=model, batch_size=6)
    read: dict[str, Tensor] = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda module, args, out, name=name: read.update({name: args[0] != 0}))
    with torch.no_grad():
        model(x)
    first = patches(read["a"], model.a)
    later = patches(read["b"], model.b) + patches(read["c"], model.c) + float(read["d"].sum()) * 3
    assert result.ann_needed_macs == pytest.approx((first + later) / 20, rel=1e-12)
    assert result.input_macs == pytest.approx(first / 20, rel=1e-12)
    assert result.input_macs < result.input_work.macs
    assert result.ann_needed_macs < 0.8 * result.ann_macs


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Conv1d(2, 4, 3), nn.ReLU(), nn.ConvTranspose1d(4, 6, 3, 2, 1, groups=2), nn.Flatten()],
        lambda: [nn.Flatten(0, 1), nn.Linear(9, 4, bias=False), nn.ReLU(), nn.Unflatten(0, (-1, 2)), nn.Flatten()],
        lambda: [nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 5), nn.Flatten()],
    ],
)
def test_all_products_of_an_ann_are_seen(layers: Callable[[], list[nn.Module]]) -> None:
    """With nothing zero the needed multiply-accumulates are all that the graph has."""
    torch.manual_seed(0)
    model, x = nn.Sequential(*layers()), torch.rand(6, 2, 9) + 0.1
    for parameter in model.parameters():
        parameter.data.abs_()
    snn = respike.from_torch(model, x, 2)
    result = respike.evaluate(snn, (x, torch.zeros(6, dtype=torch.long)), ann=model)
    assert result.ann_needed_macs == result.ann_macs > 0


def test_an_ann_with_other_products_is_not_counted() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(6, 9)
    wider = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2))
    data = x, torch.zeros(6, dtype=torch.long)
    assert respike.evaluate(respike.from_torch(model, x, 2), data, ann=wider).ann_needed_macs is None
