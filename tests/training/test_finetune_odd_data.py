"""Data, labels and options of ``finetune`` that are odd or broken: a clear error, or the right network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import respike
from respike.resume_file import ResumeError


def classifier() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4))
    return model, torch.randn(200, 8)


@pytest.fixture(scope="module")
def setup() -> tuple[respike.SpikingNetwork, nn.Module, Tensor]:
    model, x = classifier()
    return respike.from_torch(model, x, 2, correction="none"), model, x


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x)


class Rows(torch.utils.data.Dataset[tuple[np.ndarray, int]]):
    def __init__(self, x: Tensor) -> None:
        self.x = x.numpy()

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x[i], 0

    def __len__(self) -> int:
        return len(self.x)


LABELS = {
    "too large": (torch.full((100,), 4), "whole numbers from 0 to 3"),
    "negative": (torch.full((100,), -100), "whole numbers from 0 to 3"),
    "halves": (torch.full((100,), 0.5), "whole numbers from 0 to 3"),
    "nan": (torch.full((100,), torch.nan), "whole numbers from 0 to 3"),
    "a column": (torch.zeros(100, 1), "class numbers of shape"),
    "three columns": (torch.zeros(100, 3), "class numbers of shape"),
    "no probabilities": (torch.full((100, 4), torch.nan), "finite and not negative"),
    "words": (["cat"] * 100, "labels must be tensors or arrays"),
    "nothing": (None, "labels must be tensors or arrays"),
}


@pytest.mark.parametrize("what", LABELS)
def test_labels_that_are_none(what: str, setup: Any) -> None:
    snn, _, x = setup
    labels, message = LABELS[what]
    with pytest.raises(respike.ConversionError, match=message):
        respike.finetune(snn, [(x[:100], labels)], steps=1, labels=1.0)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
@pytest.mark.parametrize("labels", [torch.ones(100), torch.ones(100).bool(), torch.eye(4).long().repeat(25, 1)])
def test_labels_in_other_types(labels: Tensor, setup: Any) -> None:
    snn, _, x = setup
    respike.finetune(snn, (x[:100], labels), steps=1, labels=1.0)


@pytest.mark.parametrize("labelled", [False, True])
def test_the_place_of_nan_is_that_in_the_data(labelled: bool, setup: Any) -> None:
    """And not that in the order in which samples are drawn."""
    snn, _, x = setup
    x = x[:100].clone()
    x[37, 2] = torch.nan
    data = (x, torch.zeros(100)) if labelled else x
    with pytest.raises(respike.ConversionError, match=r"NaN or infinity: .* of sample 37, counted from 0"):
        respike.finetune(snn, data, steps=3, labels=float(labelled))


class Dry:
    """Batches that come once."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        found, self.batches = self.batches, []
        return iter(found)


@pytest.mark.parametrize("labelled", [False, True])
def test_data_that_run_dry(labelled: bool, setup: Any) -> None:
    snn, _, x = setup
    batches = [(part, torch.zeros(len(part))) for part in x[:100].split(20)]
    with pytest.raises(respike.ConversionError, match="gave no batch when they were read again"):
        respike.finetune(snn, Dry(batches), steps=1, labels=float(labelled))


class Stream(torch.utils.data.IterableDataset[Any]):
    """One sample after the other."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __iter__(self) -> Iterator[Any]:
        return ((sample, 0) for sample in self.x)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
@pytest.mark.parametrize("labels", [0.0, 1.0])
def test_data_that_come_sample_by_sample(labels: float, setup: Any) -> None:
    snn, _, x = setup
    tuned = respike.finetune(snn, Stream(x[:100]), steps=2, labels=labels)
    assert tuned.closeness is not None
    assert tuned.closeness.samples == 12


class Ragged(Rows):
    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x[i][: 8 - (i == 5)], 0


@pytest.mark.parametrize("labels", [0.0, 1.0])
def test_samples_of_several_shapes(labels: float, setup: Any) -> None:
    snn, _, x = setup
    with pytest.raises(respike.ConversionError, match="do not fit into one batch"):
        respike.finetune(snn, Ragged(x[:100]), steps=3, labels=labels)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_where_gradients_are_off(mode: Any) -> None:
    """T = 1, where inputs reach the weights as views of the user's tensors."""
    model, x = classifier()
    snn = respike.from_torch(model, x[:100], 1)
    wanted = respike.finetune(snn, [x[:100]], steps=2)
    with mode():
        found = respike.finetune(snn, [x[:100].clone()], steps=2)
        module = snn.to_module()
    assert torch.equal(found(x), wanted(x))
    module(x[:9, None]).sum().backward()
    with torch.inference_mode():
        part = x[:100].clone()
    assert torch.equal(respike.finetune(snn, [part], steps=2)(x), wanted(x))


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63)])
def test_seeds_at_their_limits(seed: int, setup: Any) -> None:
    snn, _, x = setup
    respike.finetune(snn, x[:100], steps=3, seed=seed, augment=noisy)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
def test_labels_are_among_what_a_training_is_bound_to(setup: Any, tmp_path: Path) -> None:
    snn, _, x = setup
    labels = torch.zeros(100)
    respike.finetune(snn, (x[:100], labels), steps=1, labels=1.0, resume=tmp_path / "a")
    with pytest.raises(ResumeError, match="belongs to other data"):
        respike.finetune(snn, (x[:100], labels + 1), steps=1, labels=1.0, resume=tmp_path / "a")


def test_a_file_that_cannot_be_written_is_found_out_before_training(setup: Any, tmp_path: Path) -> None:
    snn, _, x = setup
    told: list[str] = []
    with pytest.raises(respike.errors.RespikeError, match="it is a folder"):
        respike.finetune(snn, x, resume=tmp_path, progress=told.append)
    assert not any(line.startswith("fine-tuning") for line in told)
    with pytest.raises(respike.errors.RespikeError, match="progress must be"):
        respike.finetune(snn, x, progress="bar")
