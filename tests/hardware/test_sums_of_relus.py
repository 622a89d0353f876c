"""What a check says of sums of ReLUs: once each, and of the function that they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import respike
from respike.hardware import Rule


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.second(functional.silu(self.first(x))))
        out: torch.Tensor = self.third(x.flatten(1))
        return out


def converted(model: nn.Module) -> respike.SpikingNetwork:
    images = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return respike.from_torch(model, images, timesteps=4, neuron="iaf", population=3)


def failures(snn: respike.SpikingNetwork) -> list[str]:
    return [line for line in str(respike.check(snn)).splitlines() if "FAILED" in line]


def test_each_failure_is_told_once_with_its_places() -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(64, 3))
    snn = converted(nn.Sequential(*layers))
    lines = failures(snn)
    (told,) = [line for line in lines if "operations" in line]
    assert "1 (SiLU)" in told
    assert "3 (SiLU)" in told
    assert "nodes]: is a sum of ReLUs with weights of their own" in told
    assert "/3)" not in "".join(lines)
    assert len(lines) == len({line.split(": ", 1)[1] for line in lines})


def test_functions_without_a_module_keep_their_names() -> None:
    torch.manual_seed(0)
    (told,) = [line for line in failures(converted(Functional())) if "operations" in line]
    assert "forward: silu, " in told or "forward: silu [" in told
    assert "forward: silu_1" in told


def test_sums_of_relus_go_to_nir(tmp_path: Path) -> None:
    torch.manual_seed(0)
    snn = converted(Functional())
    snn.to_nir(tmp_path / "net.nir")
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(respike.from_nir(tmp_path / "net.nir")(images), snn(images), atol=1e-5, rtol=0)


def test_many_places_are_counted() -> None:
    snn = converted(nn.Sequential(nn.Conv2d(1, 1, 1), nn.SiLU(), nn.Conv2d(1, 1, 1)))
    rules = tuple(Rule("dilation", f"{n // 2} (Conv2d)", "2", "1", False, "use 1") for n in range(12))
    told = str(replace(respike.check(snn), rules=rules)).splitlines()
    assert told[-2].endswith("0 (Conv2d), 1 (Conv2d), 2 (Conv2d), 3 more [12 nodes]: 2  (limit: 1)")
    assert told[-1].endswith("-> use 1")
