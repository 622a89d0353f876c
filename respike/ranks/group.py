"""The processes of one piece of work: who this one is, and what they tell each other.

All of them call the same functions in the same order. What is exchanged comes in the order of the ranks, so that
whatever is made of it does not depend on which process was quicker.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import torch.distributed as dist
from torch import Tensor
from torch.utils import _pytree as pytree

from .errors import RankError
from .seconds import seconds_of

PATIENCE = 600.0
"""Seconds that rank 0 waits for the others, half as long as they wait for it; or what ``RESPIKE_PATIENCE`` says."""
ENDING = 0.5
"""Seconds that the system may take to end a process."""
GRACE = 2.0
"""Seconds for which those that have lost a process stay, so that the others see that it is not they who are lost."""

TOGETHER = "all processes must call this, or one of them within respike.alone()"

Item = TypeVar("Item")
Value = TypeVar("Value")


class _Failure(NamedTuple):
    """What a process sends instead of a value."""

    kind: str
    message: str


class Ranks:
    """The processes of one piece of work, seen from one of them.

    Args:
        rank: Its number, from 0.
        size: How many there are.
        group: Of torch's processes, one that sends tensors on the CPU; None: there is one process.
        patience: Seconds to wait for others.

    """

    def __init__(self, rank: int = 0, size: int = 1, group: Any = None, patience: float = PATIENCE) -> None:
        self.rank, self.size, self.group, self.patience = rank, size, group, patience
        self._others: list[tuple[str, int]] = []  # host and process number of each
        if group is not None:
            self._others = self._exchange((socket.gethostname(), os.getpid()))

    @property
    def alone(self) -> bool:
        """Whether there is one process."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    @property
    def beside(self) -> int:
        """How many of the processes are on this machine, this one among them."""
        return max(1, sum(host == socket.gethostname() for host, _ in self._others))

    def gathered(self, work: Callable[[], Value]) -> list[Value]:
        """What each process computes, in the order of the ranks; tensors come to the CPU where others made them.

        Args:
            work: Computes it.

        Raises:
            RankError: another process has failed, has died or does not answer; its own errors each process raises.
        """
        if self.alone:
            return [work()]
        mine: Value | None = None
        error: Exception | None = None
        try:
            mine = work()
        except Exception as raised:
            error = raised
        found = self._exchange(_on_cpu(mine) if error is None else _Failure(type(error).__name__, str(error)))
        if error is not None:
            raise error
        for rank, value in enumerate(found):
            if isinstance(value, _Failure):
                message = f"rank {rank} of {self.size} has failed with {value.kind}: {value.message}"
                raise RankError(message, told=True)
        found[self.rank] = mine
        return found

    def once(self, work: Callable[[], Value]) -> Value:
        """What rank 0 computes; the others wait for it.

        Raises:
            RankError: as ``gathered``.
        """
        return self.gathered(lambda: work() if self.first else None)[0]  # type: ignore[return-value]

    def each(self, items: Iterable[Item], work: Callable[[Item], Value]) -> Iterator[Value]:
        """``work`` of each item, in their order: the k-th is computed by the rank k modulo ``size``.

        Args:
            items: The same in all processes.
            work: What to do with one; its errors are raised in all processes.

        Raises:
            RankError: as ``gathered``.
        """
        if self.alone:
            yield from map(work, items)
            return
        source = iter(items)
        while some := tuple(islice(source, self.size)):
            yield from self.gathered(partial(self._mine, some, work))[: len(some)]  # type: ignore[misc]

    def divided(self, items: Iterable[Item], work: Callable[[Iterable[Item]], Iterable[Value]]) -> list[Value]:
        """What ``work`` gives of all items, in their order: each process does every ``size``-th; one exchange for all.

        Args:
            items: The same in all processes.
            work: Gives a value for each of some of them, in their order.

        Raises:
            RankError: as ``gathered``.
        """
        found = self.gathered(lambda: list(work(islice(items, self.rank, None, self.size))))
        return [found[k % self.size][k // self.size] for k in range(sum(map(len, found)))]

    def _mine(self, some: tuple[Item, ...], work: Callable[[Item], Value]) -> Value | None:
        return work(some[self.rank]) if self.rank < len(some) else None

    def _exchange(self, value: Any) -> list[Any]:
        found: list[Any] = [None] * self.size
        begun = time.monotonic()
        try:
            # It says which process is missing, where it is rank 0 that waits.
            dist.monitored_barrier(self.group, timedelta(seconds=self.patience), wait_all_ranks=True)
            dist.all_gather_object(found, value, self.group)
        except RuntimeError as error:
            lost = self._lost(str(error), time.monotonic() - begun)
            time.sleep(GRACE)
            raise lost from error
        return found

    def _lost(self, message: str, waited: float) -> RankError:
        """Who is missing, and whether it is this process that says so: the first one that can."""
        until = time.monotonic() + ENDING
        while not (dead := self._ended()) and time.monotonic() < until:
            time.sleep(0.05)
        others = TOGETHER
        if dead:
            names = ", ".join(f"rank {rank} of {self.size} {self._place(rank)}" for rank in dead)
            told = len(dead) > 1 or any(rank not in dead for rank in range(self.rank))  # one of several has told
            return RankError(f"{names} has ended before its work was done; {others}", told)
        if self.first:
            stopped = ", ".join(map(str, self._that_are("stopped")))
            message = f"Ranks {stopped} failed" if stopped and "Ranks" not in message else message
            return RankError(f"{_missing(message, self.size)} for {self.patience:g} seconds; {others}")
        if waited < 2 * self.patience:
            return RankError(f"rank 0 of {self.size} has found another process missing", told=True)
        silent = f"rank 0 of {self.size} has not answered for {2 * self.patience:g} seconds"
        return RankError(f"{silent}; {others}", told=self.rank > 1)

    def _ended(self) -> list[int]:
        """Which of the others are no more."""
        return self._that_are("zombie", "gone")

    def _that_are(self, *states: str) -> list[int]:
        """Which of the others on this machine are in one of these states; of those on others nothing is known."""
        import psutil

        found = []
        for rank, (host, process) in enumerate(self._others):
            if rank != self.rank and host == socket.gethostname():
                state = "gone"
                with suppress(psutil.Error):
                    state = psutil.Process(process).status()
                found += [rank] if state in states else []
        return found

    def _place(self, rank: int) -> str:
        host, process = self._others[rank]
        return f"(process {process} on {host})"


def _missing(message: str, size: int) -> str:
    """Of torch's message on a barrier that somebody did not reach: who it was."""
    ranks = message.partition("Ranks ")[2].partition(" failed")[0].strip()
    if "," in ranks:
        return f"ranks {ranks} of {size} have not answered"
    return f"{f'rank {ranks} of {size}' if ranks else f'one of the {size} processes'} has not answered"


def _on_cpu(value: Any) -> Any:
    return pytree.tree_map(lambda x: x.detach().cpu() if isinstance(x, Tensor) else x, value)


_ALONE = Ranks()
_APART: list[bool] = []
"""Of the blocks ``alone`` that this process is in."""
_KNOWN: dict[int, tuple[Any, Ranks]] = {}
"""By the number of torch's group: the group itself, so that its number is not given to another, and ours."""


def here() -> Ranks:
    """The processes of torch's default group, seen from this one; one alone where there is none.

    A second group is made, which sends what lies on the CPU whatever the first one does, and has our patience; so all
    processes must call this, as all that they do together.

    Raises:
        InputError: ``RESPIKE_PATIENCE`` is no number of seconds.
    """
    if _APART or not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return _ALONE
    group = dist.group.WORLD
    known = _KNOWN.get(id(group))
    if known is None:
        wait = patience()
        # Rank 0 waits half as long, as it can tell which of the others is missing.
        try:
            if dist.get_backend(group) == "gloo":  # which tells of a process that is lost sooner than a new group does
                dist.monitored_barrier(group, timedelta(seconds=wait), wait_all_ranks=True)
            gloo = dist.new_group(backend="gloo", timeout=timedelta(seconds=2 * wait))
        except RuntimeError as error:
            rank = dist.get_rank()
            missing = _missing(str(error), dist.get_world_size())
            raise RankError(f"{missing}; {TOGETHER}", told=rank > 0) from error
        known = group, Ranks(dist.get_rank(), dist.get_world_size(), gloo, wait)
        _KNOWN.clear()
        _KNOWN[id(group)] = known
    return known[1]


def first_difference(told: Sequence[tuple[str, Sequence[Any]]]) -> tuple[str, int] | None:
    """Of what processes have told, the first thing in which one differs from rank 0, and which one; None: nothing.

    Args:
        told: Names of things, and what each process says of them.
    """
    for name, values in told:
        others = [rank for rank, value in enumerate(values) if value != values[0]]
        if others:
            return name, others[0]
    return None


def speaks() -> bool:
    """Whether this process is the one that prints and warns; unlike ``here`` for one process to ask by itself."""
    return bool(_APART) or not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


@contextmanager
def alone() -> Iterator[None]:
    """Within it this process works by itself, as if there were no others.

    >>> with respike.alone():  # in a program of several processes, where only one is to convert
    ...     snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), torch.rand(32, 4), timesteps=2)
    """
    _APART.append(True)
    try:
        yield
    finally:
        _APART.pop()


def patience() -> float:
    """Seconds that rank 0 waits for the others: what ``RESPIKE_PATIENCE`` says, or ten minutes.

    Raises:
        InputError: it is no number of seconds.
    """
    return seconds_of("RESPIKE_PATIENCE", PATIENCE)
