"""Batches of whatever form the user's data have, shared out over processes: each once, in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, IterableDataset, RandomSampler

from respike.convert.rank_batches import own, shared
from respike.ranks import RankError, Ranks, here

SAMPLES = 23


class Numbers(Dataset[tuple[int, int]]):
    """Sample k is (k, 2k); it knows which it gave."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[int, int]:
        self.given.append(index)
        return index, 2 * index


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(SAMPLES))


def shuffled() -> Any:
    return DataLoader(Numbers(), batch_size=4, shuffle=True)


def from_a_generator() -> Any:
    return DataLoader(Numbers(), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(3))


def with_workers() -> Any:
    return DataLoader(Numbers(), batch_size=3, num_workers=2, drop_last=True)


def own_sampler() -> Any:
    return DataLoader(Numbers(), batch_sampler=BatchSampler(RandomSampler(range(SAMPLES)), 5, False))


def unbatched() -> Any:
    return DataLoader(Numbers(), batch_size=None)


def stream() -> Any:
    return DataLoader(Stream(), batch_size=4)


def listed() -> Any:
    return [torch.arange(k, k + 2) for k in range(7)]


def generated() -> Any:
    return (torch.arange(k, k + 2) for k in range(7))


FORMS = [shuffled, from_a_generator, with_workers, own_sampler, unbatched, stream, listed, generated]


def plain(batch: Any) -> Any:
    return (
        batch.tolist() if isinstance(batch, Tensor) else [plain(x) for x in batch] if isinstance(batch, list) else batch
    )


def shares(form: Callable[[], Any], done: int) -> Any:
    torch.manual_seed(5 + here().rank)  # rank 0's numbers count
    mine = [(number, plain(batch)) for number, batch in own(form(), here(), done)]
    torch.manual_seed(5 + here().rank)
    return mine, [plain(batch) for batch in shared(form(), here())]


@pytest.mark.parametrize("form", FORMS)
def test_each_batch_is_read_once_and_in_the_order_of_one_process(form: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(5)
    wanted = [plain(batch) for batch in form()]
    torch.manual_seed(5)
    assert [(k, plain(b)) for k, b in own(form(), Ranks())] == list(enumerate(wanted))
    torch.manual_seed(5)
    assert [(k, plain(b)) for k, b in own(form(), Ranks(), 2)] == list(enumerate(wanted))[2:]
    for done in (0, 3):
        found = run(shares, 3, tmp_path, form, done)
        for rank, (mine, everything) in enumerate(found):
            assert [number for number, _ in mine] == [k for k in range(done, len(wanted)) if k % 3 == rank]
            assert mine == [(number, wanted[number]) for number, _ in mine]
            assert everything == wanted


def decoded() -> Any:
    data = Numbers()
    list(own(DataLoader(data, batch_size=2), here()))
    return data.given


def test_each_process_loads_its_own_samples_alone(tmp_path: Path) -> None:
    first, second = run(decoded, 2, tmp_path)
    assert sorted(first + second) == list(range(SAMPLES))
    assert first[:4] == [0, 1, 4, 5]


def split(total: int, shuffle: bool) -> Any:
    data = torch.arange(total)
    sampler: DistributedSampler[Any] = DistributedSampler(data, shuffle=shuffle, seed=2)  # type: ignore[arg-type]
    loader: DataLoader[Any] = DataLoader(data, batch_size=2, sampler=sampler)  # type: ignore[arg-type]
    padded = sum(len(batch) for batch in loader)
    return [(k, batch.tolist()) for k, batch in own(loader, here())], padded


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("total", [1, 2, 7, 12, 13])
def test_what_a_distributed_sampler_adds_does_not_count(total: int, shuffle: bool, tmp_path: Path) -> None:
    found = run(split, 3, tmp_path, total, shuffle)
    assert sum(padded for _, padded in found) >= total
    batches = sorted(batch for mine, _ in found for batch in mine)
    assert [number for number, _ in batches] == list(range(len(batches)))
    assert sorted(sample for _, batch in batches for sample in batch) == list(range(total))


def of_another_group() -> Any:
    sampler: DistributedSampler[Any] = DistributedSampler(range(4), num_replicas=4, rank=here().rank)  # type: ignore[arg-type]
    return list(own(DataLoader(torch.arange(4), sampler=sampler), here()))  # type: ignore[arg-type]


def test_a_sampler_for_other_processes_is_refused(tmp_path: Path) -> None:
    first, second = run(of_another_group, 2, tmp_path)
    assert "is for rank 0 of 4, and this is rank 0 of 2; make it without num_replicas and rank" in str(first)
    assert "is for rank 1 of 4" in str(second) or isinstance(second, RankError)


def differing() -> Any:
    """A stream that gives each process something else."""
    return list(shared(iter([10 * here().rank, 10 * here().rank + 1]), here()))


def test_a_stream_is_read_by_rank_0(tmp_path: Path) -> None:
    assert run(differing, 2, tmp_path) == [[0, 1], [0, 1]]
