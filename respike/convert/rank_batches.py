"""Which batches of a user's data belong to which of several processes.

All data have one order of batches, that in which one process reads them. Batch k belongs to rank k modulo their number,
so that what is computed from a batch does not depend on how many processes there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ..errors import InputError
from ..ranks import Ranks
from ..sealed_file import digest
from ..workers import NumberedBatches
from .caller_state import undisturbed


def own(batches: Iterable[Any], ranks: Ranks, done: int = 0) -> Iterator[tuple[int, Any]]:
    """The batches of this process with their numbers, which count those of all processes.

    A ``DataLoader`` over samples with numbers loads the own batches alone, with as many workers as the user gave it:
    rank 0 draws the order for all. With a ``DistributedSampler`` each process has its own samples already, and of those
    that the sampler adds, so that all have equally many, none is read twice. A sequence is indexed. Any other iterable
    is read whole by every process, and must give the same batches to each.

    Processes exchange the order here, not when batches are asked for.

    Args:
        batches: As the user gives them.
        ranks: The processes.
        done: How many batches of all are left out at the beginning.

    Raises:
        InputError: the sampler is for another number of processes, or for another rank.
        RankError: another process has failed.
    """
    loader = batches if isinstance(batches, DataLoader) and has_order(batches) else None
    if loader is not None and (done or not ranks.alone):
        found = ranks.gathered(lambda: _drawn(loader, ranks))
        if _is_split(loader, ranks):
            order = [(ranks.rank + ranks.size * k, samples) for k, samples in enumerate(found[ranks.rank])]
        else:
            order = list(enumerate(found[0]))[ranks.rank :: ranks.size]
        order = [(number, samples) for number, samples in order if number >= done]
        return zip([number for number, _ in order], reading(loader, [samples for _, samples in order]), strict=True)
    first = done + (ranks.rank - done) % ranks.size
    if isinstance(batches, NumberedBatches):
        numbers = range(first, len(batches), ranks.size)
        return zip(numbers, batches.only(numbers), strict=True)
    if isinstance(batches, Sequence):
        return ((number, batches[number]) for number in range(first, len(batches), ranks.size))
    return islice(enumerate(batches), first, None, ranks.size)


def has_order(loader: DataLoader[Any]) -> bool:
    """Whether a sampler says which samples each batch holds, and when it ends."""
    if isinstance(loader.dataset, IterableDataset) or type(loader).__iter__ is not DataLoader.__iter__:
        return False
    try:
        len(_sampler(loader))  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):  # it may never end
        return False
    return True


def _sampler(loader: DataLoader[Any]) -> Iterable[Any]:
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def _splitter(loader: DataLoader[Any]) -> Any:
    """The sampler of one process among several; None if there is none.

    torch's ``DistributedSampler``, and those of others that give sample i of a common order to process i modulo n.
    """
    for sampler in (loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)):
        if hasattr(sampler, "num_replicas") and hasattr(sampler, "rank"):
            return sampler
    return None


def _is_split(loader: DataLoader[Any], ranks: Ranks) -> bool:
    return not ranks.alone and getattr(_splitter(loader), "num_replicas", 1) > 1


def _drawn(loader: DataLoader[Any], ranks: Ranks) -> list[Any]:
    """The samples of each batch: of this process if its sampler is for it alone, else of all, drawn by rank 0."""
    if _is_split(loader, ranks):
        return _own_share(loader, ranks)
    if not ranks.first:
        return []
    # A loader draws a seed for its workers before its sampler draws: so the order is the one that it would have had.
    torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
    return list(_sampler(loader))


def _own_share(loader: DataLoader[Any], ranks: Ranks) -> list[Any]:
    sampler = _splitter(loader)
    if (sampler.num_replicas, sampler.rank) != (ranks.size, ranks.rank):
        raise InputError(
            f"the {type(sampler).__name__} of the data is for rank {sampler.rank} of {sampler.num_replicas}, and this "
            f"is rank {ranks.rank} of {ranks.size}; make it without num_replicas and rank, or give no such sampler"
        )
    total = len(sampler.dataset)
    place = 0
    found = []
    for samples in _sampler(loader):
        several = samples if isinstance(samples, list) else [samples]
        # Sample i of this process is sample i·n + rank of all; those from the end on are there a second time.
        kept = [x for i, x in enumerate(several, place) if i * ranks.size + ranks.rank < total]
        place += len(several)
        if kept:
            found.append(kept if isinstance(samples, list) else kept[0])
    return found


def order_of(loader: DataLoader[Any]) -> str:
    """A digest of the samples of each batch that a loader would give now; what it draws for that it will draw again."""
    kept = [(g, g.get_state()) for g in _generators(loader)]
    with undisturbed():
        torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
        found = digest([np.asarray(samples, dtype=np.int64) for samples in _sampler(loader)])
    for generator, state in kept:
        generator.set_state(state)
    return found


def _generators(loader: DataLoader[Any]) -> list[torch.Generator]:
    """Of the user's, those that a loader draws from."""
    inner = getattr(loader.batch_sampler, "sampler", None)
    found = [getattr(x, "generator", None) for x in (loader, loader.sampler, loader.batch_sampler, inner)]
    return [x for x in found if isinstance(x, torch.Generator)]


def reading(loader: DataLoader[Any], order: Sequence[Any]) -> DataLoader[Any]:
    """A loader like this one that reads these batches.

    Args:
        loader: Over samples with numbers.
        order: The samples of each batch, as its own sampler gives them.
    """
    by = {"batch_size": None, "sampler": order} if loader.batch_sampler is None else {"batch_sampler": order}
    return DataLoader(
        loader.dataset,
        **by,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
    )


def shared(batches: Iterable[Any], ranks: Ranks) -> Iterator[Any]:
    """All batches, in every process: each reads its own and sends them to the others.

    What has no order of samples that could be shared is read by rank 0 alone, so that it does not matter whether the
    processes would have been given the same.

    Args:
        batches: As for ``own``.
        ranks: The processes.

    Raises:
        InputError, RankError: as ``own``.
    """
    if ranks.alone:
        yield from batches
        return
    if isinstance(batches, Sequence) or (isinstance(batches, DataLoader) and has_order(batches)):
        mine = own(batches, ranks)
        while True:
            found = ranks.gathered(lambda: next(mine, None))
            yield from (item[1] for item in found if item is not None)
            if None in found:
                return
    source = enumerate(batches if ranks.first else ())
    while (item := ranks.once(lambda: next(source, None))) is not None:
        yield item[1]


class PickedRows(Sequence[Tensor]):
    """Some samples of a tensor in each batch, copied when a batch is read."""

    def __init__(self, values: Tensor, batches: list[Tensor]) -> None:
        self.values, self.batches = values, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: Any) -> Any:
        return self.values[self.batches[number].to(self.values.device)]
