"""Pools over other axes than those of images: features of ``(N, F)``, channels of ``(N, C, L)`` and ``(N, C, H, W)``.

PyTorch takes a tensor with one axis fewer for a sample without a batch; what it then goes over are our channels, whose
spikes differ in size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn

import respike
from respike.layers import kernels

Pool = Callable[[Tensor], Tensor]
FEATURES: Any = (lambda: nn.Linear(6, 8), (6,))
SIGNALS: Any = (lambda: nn.Conv1d(2, 4, 3, padding=1), (2, 6))
IMAGES: Any = (lambda: nn.Conv2d(2, 4, 3, padding=1), (2, 6, 6))

MAXIMA: dict[str, tuple[Any, Pool]] = {
    "max_pool1d (N, F)": (FEATURES, lambda y: F.max_pool1d(y, 3, 1, 1)),
    "adaptive_max_pool1d (N, F)": (FEATURES, lambda y: F.adaptive_max_pool1d(y, 3)),
    "max_pool2d (N, C, L)": (SIGNALS, lambda y: F.max_pool2d(y, 2)),
    "adaptive_max_pool2d (N, C, L)": (SIGNALS, lambda y: F.adaptive_max_pool2d(y, (3, 4))),
    "amax of channels": (SIGNALS, lambda y: y.amax(1)),
    "max_pool3d (N, C, H, W)": (IMAGES, lambda y: F.max_pool3d(y, (2, 1, 2))),
    "adaptive_max_pool3d (N, C, H, W)": (IMAGES, lambda y: F.adaptive_max_pool3d(y, (3, 4, 2))),
}
MEANS: dict[str, tuple[Any, Pool]] = {
    "avg_pool1d (N, F)": (FEATURES, lambda y: F.avg_pool1d(y, 2)),
    "avg_pool2d (N, C, L)": (SIGNALS, lambda y: F.avg_pool2d(y, (2, 3), (1, 2))),
    "adaptive_avg_pool2d (N, C, L)": (SIGNALS, lambda y: F.adaptive_avg_pool2d(y, (3, 4))),
    "avg_pool3d (N, C, H, W)": (IMAGES, lambda y: F.avg_pool3d(y, (2, 1, 2))),
    "adaptive_avg_pool3d (N, C, H, W)": (IMAGES, lambda y: F.adaptive_avg_pool3d(y, (3, 4, 2))),
}
POOLS = {**MAXIMA, **MEANS}
T = 48


class Pooled(nn.Module):
    """A layer whose channels differ in size, a pool, and two layers behind it."""

    def __init__(self, first: nn.Module, pool: Pool, x: Tensor) -> None:
        super().__init__()
        self.first, self.pool = first, pool
        with torch.no_grad():
            sizes = torch.logspace(0, 1, len(first.weight))  # type: ignore[arg-type]
            first.weight.mul_(sizes.reshape(-1, *[1] * (first.weight.dim() - 1)))  # type: ignore[union-attr, operator]
            first.bias.mul_(sizes)  # type: ignore[union-attr, operator]
            wide = pool(first(x)).flatten(1).shape[1]
        self.second, self.last = nn.Linear(wide, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.pool(self.first(x).relu()).flatten(1)).relu())


def made(name: str) -> tuple[respike.SpikingNetwork, Pooled, Tensor]:
    torch.manual_seed(0)
    (layer, shape), pool = POOLS[name]
    x = torch.rand(24, *shape)
    model = Pooled(layer(), pool, x).eval()
    snn = respike.from_torch(model, x, T, threshold="max", correction="none")
    assert next(iter(snn.neurons.values())).threshold.unique().numel() > 1  # type: ignore[union-attr, operator]
    return snn, model, x


@pytest.mark.parametrize("name", one_in(3, POOLS))
def test_runs_in_every_way_and_is_counted(name: str) -> None:
    snn, model, x = made(name)
    with torch.no_grad():
        y = model(x)
    quantised = snn.quantised(16)  # so fine that rounding hardly counts

    def error(found: Tensor) -> float:
        return float((found - y).norm() / (y - y.mean(0)).norm())

    exact = snn(x)
    assert error(exact) < 6 / T
    # Taken for another channel's, a spike's size would be off by up to 10 times.
    assert error(quantised(x)) < error(exact) + 0.02
    double = snn.double()
    assert torch.allclose(double.normalised()(x.double()), double(x.double()), atol=1e-9 * float(y.abs().max()))
    snn.float()
    for precision, rounding in (("float32", 0.0), ("bfloat16", 0.05), ("int8", 0.05)):
        snn.precision = precision  # type: ignore[assignment]
        compiled = snn(x)
        assert error(compiled) <= error(exact) + rounding
        kernels.use("eager")
        try:
            assert torch.equal(snn(x), compiled)
        finally:
            kernels.use(None)
    snn.precision = "float32"
    check_counts(snn, model, x, name)


def check_counts(snn: respike.SpikingNetwork, model: Pooled, x: Tensor, name: str) -> None:
    """Spikes of the first layer, and what reaches the second: each window by itself, or each value that changes."""
    sent: list[list[Tensor]] = [[], []]
    told = {node: sent[i] for i, node in enumerate(list(snn.fan_out.events)[:2])}
    for _ in snn.blocks([x], recorder=lambda node, _, values: told.get(node.name, []).append(values)):
        pass
    theta = next(iter(snn.neurons.values())).threshold  # type: ignore[union-attr]
    spikes = (torch.cat(sent[0]) / theta).round()
    events = [float(spikes.sum()) / len(x)]
    if name in MAXIMA:
        events.append(float((torch.cat(sent[1]) != 0).sum()) / len(x))
        reached = 7 * events[1]
    else:
        size = spikes.shape[2:]
        one_hot = torch.eye(size.numel()).reshape(-1, *size)
        windows = (model.pool(one_hot) != 0).flatten(1).sum(1).reshape(size)
        reached = 7 * float((spikes * windows).sum()) / len(x)
    result = respike.evaluate(snn, (x, torch.zeros(len(x), dtype=torch.long)), progress=False)
    assert [layer.spikes[-1] for layer in result.layers[: len(events)]] == pytest.approx(events)
    assert [layer.synops[-1] for layer in result.layers[: len(events)]][-1] == pytest.approx(reached)


class Indices(nn.Module):
    def __init__(self, indices: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.indices = nn.Conv1d(2, 4, 3, padding=1), nn.Linear(16, 3), indices

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        h = F.max_pool1d(h, 2, return_indices=True)[0] if self.indices else F.max_pool1d(h, 2)
        return self.b(h.flatten(1))


def test_a_pool_that_gives_indices_as_well_is_the_pool() -> None:
    x = torch.rand(16, 2, 8, generator=torch.Generator().manual_seed(0))
    found, wanted = (respike.from_torch(Indices(indices), x, 8) for indices in (True, False))
    assert torch.equal(found(x), wanted(x))
    counts = [respike.evaluate(snn, (x, torch.arange(16) % 3), progress=False) for snn in (found, wanted)]
    assert (counts[0].synops == counts[1].synops).all()
