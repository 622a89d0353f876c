"""Data sets that several processes read at once, and the loaders that start these processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from torch.utils.data import DataLoader, Dataset, Subset, default_collate

from .errors import InputError, RespikeError


class InWorkers(Dataset[Any]):
    """A Dataset, and how many processes read it. The samples, and their order, are the same for any number.

    Args:
        data: Samples by number, with a length; it is copied into each process.
        workers: Processes that read; 0: the process that computes reads as well.
    """

    def __init__(self, data: Any, workers: int = 0) -> None:
        self.data, self.workers = data, workers

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        return self.data[index]

    @property
    def classes(self) -> list[Any] | None:
        """Names of the classes, if the data set knows them."""
        return getattr(self.data, "classes", None)


def first_samples(data: Any, count: int = 4) -> Any:
    """The first samples of data that processes read, read without any; other data as they are.

    Whether a network takes the samples can be seen from a few. Processes would read some batches ahead.
    """
    return InWorkers(Subset(data.data, range(min(count, len(data))))) if isinstance(data, InWorkers) else data


def loader(
    data: Any,
    order: Sequence[int] | None = None,
    *,
    batch_size: int,
    collate_fn: Callable[[list[Any]], Any] = default_collate,
) -> Iterable[Any]:
    """Batches of a Dataset, which as many processes read as it says.

    Args:
        data: The Dataset.
        order: Numbers of the samples to read; by default all of them, one after the other.
        batch_size: Samples of a batch.
        collate_fn: Makes a batch of samples.
    """
    if not isinstance(data, InWorkers):
        return DataLoader(data if order is None else Subset(data, order), batch_size, collate_fn=collate_fn)
    numbers = range(len(data)) if order is None else order
    batches = [numbers[start : start + batch_size] for start in range(0, len(numbers), batch_size)]
    return NumberedBatches(data, data.workers, batches, collate_fn)


def gives_batches(data: Any) -> bool:
    """Whether what calls itself a Dataset gives whole batches, as pipelines of webdataset and its ``WebLoader`` may."""
    if isinstance(data, DataLoader):
        return data.batch_size is not None or gives_batches(data.dataset)
    batches = False
    for stage in getattr(data, "pipeline", ()):
        if isinstance(stage, Dataset | DataLoader):
            batches = gives_batches(stage)
        else:
            name = getattr(getattr(stage, "f", None), "__name__", "")
            batches = {"_batched": True, "_unbatched": False}.get(name, batches)
    return batches


@dataclass(frozen=True)
class _Failed:
    """An error of ours. Raised in a worker, it would come back as the text of a traceback."""

    error: RespikeError


class _Caught(Dataset[Any]):
    """The samples, and errors in the place of those that cannot be read."""

    def __init__(self, data: Dataset[Any]) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]  # those that come here have a length

    def __getitem__(self, index: int) -> Any:
        try:
            return self.data[index]
        except RespikeError as error:
            return _Failed(error)


@dataclass(frozen=True)
class _Collated:
    collate: Callable[[list[Any]], Any]

    def __call__(self, samples: list[Any]) -> Any:
        failed = next((sample for sample in samples if isinstance(sample, _Failed)), None)
        try:
            return self.collate(samples) if failed is None else failed
        except RespikeError as error:
            return _Failed(error)


class NumberedBatches(Sequence[Any]):
    """Batches of samples with numbers, each of which can be read by itself.

    Those of ``iter`` are read by several processes, which end with each reading, and when one stops early.

    Args:
        data: The samples.
        workers: How many processes.
        order: The numbers of the samples of each batch.
        collate_fn: Makes a batch of samples.
    """

    def __init__(
        self, data: Dataset[Any], workers: int, order: Sequence[Sequence[int]], collate_fn: Callable[[list[Any]], Any]
    ) -> None:
        self.data, self.workers, self.order, self.collate_fn = data, workers, order, collate_fn

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: Any) -> Any:
        """A batch, read by this process, or batches of which others will read."""
        if isinstance(number, slice):
            return self.only(range(len(self))[number])
        return next(iter(NumberedBatches(self.data, 0, [self.order[number]], self.collate_fn)))

    def only(self, numbers: Sequence[int]) -> NumberedBatches:
        """Some of the batches."""
        return NumberedBatches(self.data, self.workers, [self.order[number] for number in numbers], self.collate_fn)

    def __iter__(self) -> Iterator[Any]:
        collate = _Collated(self.collate_fn)
        with warnings.catch_warnings():
            # The user says how many. These processes only decode images, so that threads of this one are no danger.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
            caught, order = _Caught(self.data), cast("Any", self.order)  # any sequence of numbers will do
            made = DataLoader(caught, batch_sampler=order, num_workers=self.workers, collate_fn=collate)
            batches = iter(made)
        try:
            for batch in batches:
                if isinstance(batch, _Failed):
                    raise batch.error
                yield batch
        except (RuntimeError, EOFError, OSError) as error:
            if not self.workers or not _is_end(error):
                raise
            raise InputError(
                "a process that reads images has ended or has no shared memory: use fewer --workers (0: none), a "
                f"smaller --batch-size, or a larger /dev/shm ({(str(error).strip() or 'no answer').splitlines()[-1]})"
            ) from error
        finally:  # not when the iterator is deleted, which a traceback may put off
            if hasattr(batches, "_shutdown_workers"):
                with suppress(RuntimeError):  # which torch raises wherever we are when it hears of a killed worker
                    batches._shutdown_workers()


def _is_end(error: Exception) -> bool:
    """Whether a worker is gone, as torch says or finds out when it asks for a tensor, or could not pass on a batch."""
    lost = isinstance(error, EOFError | ConnectionError | FileNotFoundError) and not str(error).startswith("Caught ")
    return lost or any(words in str(error) for words in ("DataLoader worker (pid", "shared memory(shm)"))
