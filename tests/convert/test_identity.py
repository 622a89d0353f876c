"""Digests of networks, models and data: the same for the same, another for whatever changes a result."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import converted
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import respike
from respike.convert.identity import digest_of_data, digest_of_model, digest_of_network


class Net(nn.Module):
    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.pool, self.two = nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Linear(18, 3)
        self.slope, self._runs = slope, 0

    def forward(self, x: Tensor) -> Tensor:
        self._runs += 1
        return self.two(self.pool(self.one(x).relu()).flatten(1))


class Other(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.pool(self.one(x).relu().relu()).flatten(1))


class Spaced(Net):
    def forward(self, x: Tensor) -> Tensor:
        # As Net, with a remark.
        self._runs += 1

        return self.two(
            self.pool(self.one(x).relu()).flatten(1),
        )


def changed(change: Callable[[Any], Any]) -> nn.Module:
    net = Net()
    with torch.no_grad():
        change(net)
    return net


def test_models() -> None:
    base = digest_of_model(Net())
    used = Net()
    used(torch.rand(2, 1, 8, 8))
    assert digest_of_model(used) == digest_of_model(copy.deepcopy(used)) == base
    for other in (
        *(Net(0.1), Other(), Net().double()),
        changed(lambda net: net.one.bias[0].add_(1e-6)),
        changed(lambda net: setattr(net.pool, "kernel_size", 3)),
        changed(lambda net: setattr(net.one, "stride", (2, 2))),
    ):
        assert digest_of_model(other) != base
    Spaced.__qualname__ = Net.__qualname__
    assert digest_of_model(Spaced()) == base


def test_networks() -> None:
    x = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    made = [converted(Net().eval(), x, steps=4) for _ in range(2)]
    base = digest_of_network(made[0])
    assert digest_of_network(made[1]) == base
    made[1].timesteps = 5
    others = [made[1], converted(Net().eval(), x, steps=4, neuron="signed"), made[0].with_time()]
    for key, value in {"schedule": "layerwise", "precision": "int8"}.items():
        others.append(converted(Net().eval(), x, steps=4))
        setattr(others[-1], key, value)
    found = {digest_of_network(snn) for snn in others}
    assert len(found | {base}) == 1 + len(others)


class Listed(Dataset[Any]):
    def __init__(self, values: Tensor, noisy: bool = False) -> None:
        self.values, self.noisy = values, noisy

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, k: int) -> Any:
        return self.values[k] + (torch.rand(()) if self.noisy else 0), 1


def test_data() -> None:
    x = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    last = x.clone()
    last[-1, -1] += 1e-6
    different = [
        *(x, last, x[:39], x.numpy(), (x, x[:, 2]), (x, last[:, 2]), TensorDataset(x), TensorDataset(last)),
        *(Listed(x), Listed(last), Listed(x[:39]), Subset(Listed(x), range(20)), Subset(Listed(x), range(20, 40))),
        *(DataLoader(Listed(x), 5), DataLoader(Listed(x), 4), DataLoader(Listed(x), 5, shuffle=True)),
        *(DataLoader(Listed(last), 5), [1, 2], iter([x])),
    ]
    assert len({digest_of_data(data) for data in different}) == len(different)
    before = torch.random.get_rng_state()
    assert digest_of_data(Listed(x, noisy=True)) == digest_of_data(Listed(last, noisy=True))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert digest_of_data(Listed(x)) == digest_of_data(Listed(x.clone()))
    assert digest_of_data(respike.Frames(x)) == digest_of_data(x)
    assert digest_of_data(Listed(x[:0])) == digest_of_data(Listed(last[:0]))


def test_folders_of_images_are_told_apart_by_their_files(tmp_path: Path) -> None:
    """By all of them, although few are opened; wherever the folder lies."""
    datasets = pytest.importorskip("torchvision.datasets")
    from PIL import Image

    def folder(name: str, side: int = 4) -> Any:
        for k in range(60):
            place = tmp_path / name / "abc"[k % 3]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((side if k == 7 else 4, 4), k, dtype=np.uint8)).save(place / f"{k}.bmp")
        return datasets.ImageFolder(tmp_path / name, transform=np.asarray)

    one = folder("one")
    assert digest_of_data(one) == digest_of_data(folder("two"))
    assert digest_of_data(one) != digest_of_data(folder("three", side=8))
