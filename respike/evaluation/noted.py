"""How far work on batches is, noted in a resume file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..convert.rank_batches import has_order
from ..ranks import Ranks
from ..resume_file import Chain, ResumeError, ResumeFile


class Noted:
    """Notes how far work is, if there is a file to note it in.

    Args:
        path: The file; None: nothing is noted.
        kind: Of work.
        bound: Gives what the result depends on, see ``ResumeFile``.
        ranks: The processes.

    Attributes:
        done: How many batches are done.
        seen: How many samples were in them.
        finished: Whether that is all.
        state: What was noted last, as it was given; None: nothing was.
        tensors: Those that were noted with it.
    """

    def __init__(
        self, path: str | PathLike[str] | None, kind: str, bound: Callable[[], Mapping[str, Any]], ranks: Ranks
    ) -> None:
        self.file = None if path is None else ResumeFile(path, kind, ranks.once(bound))
        self.ranks = ranks
        self.done = self.seen = 0
        self.finished = False
        self.state: dict[str, Any] | None = None
        self.tensors: dict[str, Tensor] = {}
        self._chain, self._read = Chain(), 0
        self._before: tuple[int, str] | None = None

    def __enter__(self) -> Self:
        found = None if self.file is None else self.file.read()
        if found is not None:
            numbers, tensors = found
            self.done, self.seen, self.finished = numbers["done"], numbers["seen"], numbers["finished"]
            self._before = numbers["read"], numbers["chain"]
            self.state = json.loads(tensors.pop("state").numpy().tobytes())
            self.tensors = tensors
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()

    def watched(self, batches: Iterable[Any]) -> Iterable[Any]:
        """The same batches; of those that can be read in order alone, whether they are those that were read before.

        Raises:
            ResumeError: later, when a batch is read: they are others.
        """
        if self.file is None or not self.ranks.first or isinstance(batches, Sequence):
            return batches
        if isinstance(batches, DataLoader) and has_order(batches):
            return batches
        return self._watching(batches)

    def compare(self, batches: Iterable[Any]) -> None:
        """Read the batches of work that is finished, to see whether they are those of before, if nothing else tells.

        Raises:
            ResumeError: they are others.
        """
        watched = self.watched(batches)
        for _ in watched if watched is not batches else ():
            pass

    def due(self) -> bool:
        """Whether it is time to note it, by the clock of this process."""
        return self.file is not None and self.file.due()

    def note(
        self, state: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None, finished: bool = False
    ) -> None:
        """Note ``done``, ``seen``, a state that JSON can hold, and tensors by name; rank 0's count."""
        if self.file is None:
            return
        told = bytearray(json.dumps(state).encode())
        read, chain = self._read, self._chain.value
        numbers = {"done": self.done, "seen": self.seen, "finished": finished, "read": read, "chain": chain}
        self.file.write(numbers, {"state": torch.frombuffer(told, dtype=torch.uint8), **(tensors or {})}, finished)

    def _watching(self, batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            self._chain.add(batch)
            self._read += 1
            if self._before is not None and self._read == self._before[0] and self._chain.value != self._before[1]:
                self._refuse("other batches were read before; give the same data in the same order")
            yield batch
        if self._before is not None and self._read < self._before[0]:
            self._refuse(f"{self._before[0]:,} batches were read before, and now there are {self._read:,}")

    def _refuse(self, reason: str) -> None:
        assert self.file is not None
        raise ResumeError(f"cannot go on from {self.file.path}: {reason}, or give another name to begin anew")
