"""Data that processes read: the same samples in the same order, and no process is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import respike
from respike.convert.data import batches, picked_batches
from respike.errors import InputError
from respike.workers import InWorkers, first_samples, loader


class Numbers(Dataset[Any]):
    """Sample k is (k, ..., k), with k as its label; what is done at one of them is told."""

    def __init__(self, count: int = 30, at: int = -1, act: Callable[[], Any] = lambda: None) -> None:
        self.count, self.at, self.act = count, at, act

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index >= self.count:
            raise IndexError
        if index == self.at:
            self.act()
        return torch.full((3,), float(index)), index


class Uneven(Numbers):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(1 + index), index


def fail() -> None:
    raise InputError("photo.jpg is damaged")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def no_shared_memory() -> None:
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


def bug() -> None:
    raise KeyError("a bug")


def children() -> set[int]:
    """Processes of this one, but for those that keep running by design."""
    return {child.pid for child in psutil.Process().children() if "tracker" not in " ".join(child.cmdline())}


def read(data: Any) -> list[Any]:
    return [batch[0].tolist() for batch in data]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_the_samples_and_their_order_do_not_depend_on_workers(workers: int) -> None:
    before, plain, data = children(), Numbers(), InWorkers(Numbers(), workers)
    order = torch.randperm(30)
    assert read(loader(data, batch_size=4)) == read(loader(plain, batch_size=4))
    assert read(picked_batches(data, order, 4, None)) == read(picked_batches(plain, order, 4, None))
    assert read(batches(data, 1, 3)) == read(batches(plain, 1, 3))
    assert children() == before


def test_a_network_is_the_same_with_workers() -> None:
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 30))
    told = []
    for workers in (0, 2):
        data = InWorkers(Numbers(), workers)
        torch.manual_seed(workers)
        snn = respike.from_torch(net, data, 4)
        told.append(respike.evaluate(snn, data, ann=net, batch_size=7).as_dict())
    assert told[0] == told[1]


def test_processes_end_when_reading_stops_early() -> None:
    before = children()
    reading = iter(loader(InWorkers(Numbers(500), 2), batch_size=2))
    next(reading)
    assert len(children() - before) == 2
    del reading
    assert children() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_ours_is_raised_as_it_is(workers: int) -> None:
    before = children()
    with pytest.raises(InputError) as found:
        list(loader(InWorkers(Numbers(at=17, act=fail), workers), batch_size=4))
    assert str(found.value) == "photo.jpg is damaged"
    assert children() == before


def test_other_errors_stay_bugs() -> None:
    with pytest.raises(KeyError, match="a bug"):
        list(loader(InWorkers(Numbers(at=17, act=bug), 1), batch_size=4))


def test_samples_that_do_not_fit_together_are_told_as_without_workers() -> None:
    for workers in (0, 1):
        with pytest.raises(respike.ConversionError, match="do not fit into one batch"):
            list(picked_batches(InWorkers(Uneven(), workers), torch.arange(4), 4, 1))


def test_too_little_shared_memory_is_an_error_with_advice() -> None:
    with pytest.raises(InputError, match=r"or a larger /dev/shm \(.*: No space left on device \(28\)\)"):
        list(loader(InWorkers(Numbers(at=17, act=no_shared_memory), 1), batch_size=4))
    with pytest.raises(RuntimeError, match="unable to allocate"):  # of the data set itself, without workers
        list(loader(InWorkers(Numbers(at=17, act=no_shared_memory)), batch_size=4))


@pytest.mark.skipif(os.name == "nt", reason="kills with a POSIX signal")
def test_a_process_that_is_killed_is_an_error_with_advice() -> None:
    before = children()
    with pytest.raises(InputError, match=r"has ended .* use fewer --workers \(0: none\)"):
        list(loader(InWorkers(Numbers(at=17, act=die), 2), batch_size=4))
    assert children() == before


def test_a_few_samples_are_read_without_processes() -> None:
    few = first_samples(InWorkers(Numbers(), 3))
    assert (
        len(few) == 4 and few.workers == 0 and read(loader(few, batch_size=4)) == [[[float(k)] * 3 for k in range(4)]]
    )
    plain = Numbers()
    assert first_samples(plain) is plain
