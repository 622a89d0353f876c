"""A file to resume from is used for the data, the metric and the batches that it was made with, and no others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

import respike

Pair = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def snn() -> respike.SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3)).eval()
    return respike.from_torch(model, torch.rand(32, 6), timesteps=3)


def batches(shift: int) -> list[Pair]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(60, 6, generator=generator)
    labels = (torch.arange(60) + shift) % 3
    return list(zip(x.split(20), labels.split(20), strict=True))


class Stream(IterableDataset[Pair]):
    def __init__(self, shift: int) -> None:
        self.shift = shift

    def __iter__(self) -> Any:
        return iter(batches(self.shift))


def negated(samples: list[Any]) -> Any:
    x, y = default_collate(samples)
    return -x, y


def pairs(shift: int, collate: Callable[[list[Any]], Any] = default_collate) -> DataLoader[Any]:
    x, y = (torch.cat(parts) for parts in zip(*batches(shift), strict=True))
    return DataLoader(TensorDataset(x, y), 20, collate_fn=collate)


FORMS: dict[str, Callable[[int], Any]] = {
    "list": batches,
    "tuple": lambda shift: tuple(batches(shift)),
    "generator": lambda shift: iter(batches(shift)),
    "loader": pairs,
    "stream": lambda shift: DataLoader(Stream(shift), batch_size=None),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_other_data_are_refused(form: str, snn: respike.SpikingNetwork, tmp_path: Path) -> None:
    path, given = tmp_path / "a.resume", FORMS[form]
    wanted = respike.evaluate(snn, given(0), resume=path)
    assert respike.evaluate(snn, given(0), resume=path).as_dict() == wanted.as_dict()
    with pytest.raises(ValueError, match=r"other data|other batches"):
        respike.evaluate(snn, given(1), resume=path)


CALLS = {"left": 0}


def breaking(output: Tensor, target: Tensor) -> Tensor:
    CALLS["left"] -= 1
    if CALLS["left"] == 0:
        raise KeyboardInterrupt
    return (output.argmax(1) == target).float()


@pytest.mark.parametrize("form", ["list", "generator", "stream"])
def test_other_data_are_refused_half_way(
    form: str, snn: respike.SpikingNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESPIKE_INTERVAL", "0")
    path, given = tmp_path / "a.resume", FORMS[form]
    wanted = respike.evaluate(snn, given(0), metric=breaking).as_dict()
    CALLS["left"] = 5  # of 3 for each batch
    with pytest.raises(KeyboardInterrupt):
        respike.evaluate(snn, given(0), metric=breaking, resume=path)
    with pytest.raises(ValueError, match=r"other data|other batches"):
        respike.evaluate(snn, given(1), metric=breaking, resume=path)
    assert respike.evaluate(snn, given(0), metric=breaking, resume=path).as_dict() == wanted


def score(output: Tensor, target: Tensor, k: float) -> Tensor:
    return (output.argmax(1) == target).float() * k


class Score:
    def __init__(self, k: float) -> None:
        self.k = k

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return score(output, target, self.k)


def closed(k: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda output, target: score(output, target, k)


@pytest.mark.parametrize("metric", [lambda k: partial(score, k=k), Score, closed])
def test_another_metric_is_refused(metric: Any, snn: respike.SpikingNetwork, tmp_path: Path) -> None:
    path = tmp_path / "a.resume"
    wanted = respike.evaluate(snn, batches(0), metric=metric(1.0), resume=path)
    assert respike.evaluate(snn, batches(0), metric=metric(1.0), resume=path).as_dict() == wanted.as_dict()
    for other in (metric(5.0), None):
        with pytest.raises(ValueError, match=r"another metric|made with metric"):
            respike.evaluate(snn, batches(0), metric=other, resume=path)


def test_another_way_to_collate_is_refused(snn: respike.SpikingNetwork, tmp_path: Path) -> None:
    path = tmp_path / "a.resume"
    respike.evaluate(snn, pairs(0), resume=path)
    with pytest.raises(ValueError, match="other data"):
        respike.evaluate(snn, pairs(0, negated), resume=path)


def test_a_part_without_a_batch_is_named(snn: respike.SpikingNetwork) -> None:
    with pytest.raises(ValueError, match="part 4 of 4 has no batch, as there are fewer batches"):
        respike.evaluate(snn, batches(0), part=(4, 4))


def test_the_option_that_differs_is_named_first(snn: respike.SpikingNetwork, tmp_path: Path) -> None:
    path = tmp_path / "a.resume"
    respike.evaluate(snn, batches(0), resume=path)
    with pytest.raises(ValueError, match="made with timesteps=3, and this has timesteps=2"):
        respike.evaluate(snn, batches(0), timesteps=2, resume=path)
