"""How far a conversion has got, in a file from which it goes on after an interruption, to the same network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any

from torch import Tensor

from ...ranks import here
from ...resume_file import Chain, ResumeError, ResumeFile


class Checkpoint:
    """What parts of a conversion have noted, by the name of the part; several processes all note the same.

    The samples that were read are told from others by a digest, once as many of them are read again.

    Args:
        file: Where; None: nowhere, and nothing is known.
    """

    def __init__(self, file: ResumeFile | None = None) -> None:
        self.file = file
        self._numbers: dict[str, Any] = {}
        self._tensors: dict[str, Tensor] = {}
        self._chain, self._read = Chain(), 0
        found = None if file is None else file.read()
        if found is not None:
            self._numbers, self._tensors = found
        self._wanted = self._numbers.get("samples")  # how many batches were read, and their digest

    def same(self, name: str, work: Callable[[], int]) -> int:
        """A number that depends on the machine's state: the one that was noted, or else what ``work`` gives."""
        if self.file is None:
            return work()
        return int(self._numbers.setdefault(name, work()))

    def of(self, part: str) -> tuple[Any, dict[str, Tensor]] | None:
        """What a part has noted; None: nothing."""
        if part not in self._numbers:
            return None
        begin = f"{part}."
        tensors = {name.removeprefix(begin): x for name, x in self._tensors.items() if name.startswith(begin)}
        return self._numbers[part], tensors

    def due(self) -> bool:
        """Whether it is time to note how far the work is; the same in all processes."""
        return self.file is not None and here().once(self.file.due)

    def note(self, part: str, numbers: Any, tensors: Mapping[str, Tensor] | None = None, now: bool = False) -> None:
        """Note how far a part is, in place of what it noted before.

        Args:
            part: Its name.
            numbers: What JSON can hold.
            tensors: By name.
            now: Write them; else with what is noted next.

        Raises:
            WriteError: the file cannot be written.
        """
        if self.file is None:
            return
        self._numbers[part] = numbers
        kept = {name: x for name, x in self._tensors.items() if not name.startswith(f"{part}.")}
        self._tensors = {**kept, **{f"{part}.{name}": x.detach().cpu().clone() for name, x in (tensors or {}).items()}}
        if now:
            self._write()

    def _write(self, finished: bool = False) -> None:
        assert self.file is not None
        if self._wanted is None or self._read >= self._wanted[0]:
            self._numbers["samples"] = [self._read, self._chain.value]
        self.file.write(self._numbers, self._tensors, finished)

    def watching(self, stream: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
        """The same batches of inputs, compared with those that were read before.

        Raises:
            ResumeError: they are others.
        """
        for inputs in stream:
            if self.file is not None:
                self._chain.add(*inputs)
                self._read += 1
                if self._wanted is not None and self._read == self._wanted[0] and self._chain.value != self._wanted[1]:
                    raise self._other_samples()
            yield inputs

    def finish(self) -> None:
        """Note that nothing is left to do.

        Raises:
            ResumeError: fewer samples were read than before.
        """
        if self.file is not None:
            if self._wanted is not None and self._read < self._wanted[0]:
                raise self._other_samples()
            self._write(finished=True)

    def _other_samples(self) -> ResumeError:
        assert self.file is not None
        return ResumeError(
            f"cannot go on from {self.file.path}: it was made with other calibration samples, or in another order; "
            "give the same, or remove the file to begin anew"
        )


NOTHING = Checkpoint()
"""The checkpoint of work that notes nothing."""


@contextmanager
def noted(path: str | PathLike[str] | None, bound: Callable[[], Mapping[str, Any]]) -> Iterator[Checkpoint]:
    """The checkpoint of one conversion.

    Args:
        path: The file; None: nothing is noted.
        bound: What the network depends on, by name.

    Raises:
        ResumeError: the file is of another conversion, is damaged, or is in use.
        WriteError: it cannot be written.
    """
    if path is None:
        yield NOTHING
        return
    with ResumeFile(path, "conversion", here().once(lambda: dict(bound()))) as file:
        yield Checkpoint(file)
