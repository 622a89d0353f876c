"""How far long work has got, in a file from which it goes on after an interruption, to the same result.

Under several processes (``ranks``) all call the same methods in the same order; rank 0 reads and writes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from .errors import InputError, RespikeError
from .files import at_work, check_writable
from .ranks import here, seconds_of
from .sealed_file import Chain, SealError, digest, header_of, read_sealed, write_sealed
from .text import printable, shown

__all__ = ["INTERVAL", "Chain", "ResumeError", "ResumeFile", "digest"]

FORMAT: Final = "respike resume 1"
INTERVAL: Final = 60.0
"""Seconds from one writing to the next; or what ``RESPIKE_INTERVAL`` says."""
SHARE: Final = 20
"""Where writing takes long, work goes on for so many times as long before the next."""
_OTHERS: Final = {
    "network": "it belongs to another network: layers, neurons, weights or thresholds are not those of this one",
    "model": "it belongs to another model: modules or weights are not those of this one",
    "ann": "it was made with another ANN: modules or weights are not those of this one",
    "data": "it belongs to other data",
    "order": "its data came in another order, or in other batches",
    "metric": "it was made with another metric",
}
"""What is said where a digest differs."""


class ResumeError(InputError):
    """A file that this work cannot go on from; the message says why, and what to do."""


class ResumeFile:
    """The file of one piece of work.

    It is written whole or not at all. It is bound to all that the result depends on, and refused, with the reason,
    if any of that has changed, if respike or torch is another version, or if a bit of it is not as it was written.
    Two runs cannot use one file at the same time: the second is refused where the first is a process of this machine;
    where it is one of another machine, the first is stopped when it is to write the next time.

        with ResumeFile(path, "evaluation", {"network": ..., "batch_size": 64}) as file:
            numbers, tensors = file.read() or ({"done": 0}, {})
            ...
            if file.due():
                file.write(numbers, tensors)
            ...
            file.write(numbers, tensors, finished=True)

    Args:
        path: The file.
        kind: Of work, as it is named in messages.
        bound: What the result depends on, by name: what JSON can say, or digests.
        interval: Seconds from one writing to the next, 0: whenever it is asked; None: what ``RESPIKE_INTERVAL``
            says, or 60.

    Raises:
        FileNotFoundError: the folder does not exist.
        WriteError: something other than a regular file is there, or one that must not be written.
        InputError: ``RESPIKE_INTERVAL`` is no number of seconds.
    """

    def __init__(
        self, path: str | os.PathLike[str], kind: str, bound: Mapping[str, Any], interval: float | None = None
    ) -> None:
        self.path, self.kind = Path(path), kind
        self.bound = _as_json({"respike": _version(), "torch": torch.__version__, **bound})
        self.interval = seconds_of("RESPIKE_INTERVAL", INTERVAL, zero=True) if interval is None else interval
        self._owner = [socket.gethostname(), os.getpid(), secrets.token_hex(8)]
        self._last, self._cost = time.monotonic(), 0.0
        here().once(partial(check_writable, path))

    def __enter__(self) -> ResumeFile:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Numbers and tensors as they were written last, the tensors on the CPU; None: nothing was written yet.

        From now on the file belongs to this run, unless the work in it is finished.

        Raises:
            ResumeError: the file is of something else, is damaged, or is in use by another run.
            WriteError: the file cannot be written.
        """
        return here().once(self._read)

    def due(self) -> bool:
        """Whether it is time to write, by the clock of this process; several processes must agree on one answer."""
        wait = max(self.interval, SHARE * self._cost) if self.interval else 0.0
        return time.monotonic() - self._last >= wait

    def write(self, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor], finished: bool = False) -> None:
        """Note how far the work is.

        Args:
            numbers: What JSON can say, by name; rank 0's count.
            tensors: By name, of any shape; rank 0's count.
            finished: Nothing is left to do.

        Raises:
            ResumeError: another run has taken the file.
            WriteError: the system does not let it be written; what was written before is still there.
        """
        here().once(partial(self._write, numbers, tensors, finished))

    def close(self) -> None:
        """Let other runs have the file, as far as it can be written. The work in it can still be gone on with."""
        if not here().first or self._owner_now() != self._owner:
            return
        with suppress(RespikeError, OSError):
            about, tensors = read_sealed(self.path, FORMAT)
            if about.get("numbers") is None:
                self.path.unlink()
            else:
                write_sealed(self.path, FORMAT, {**about, "owner": None}, tensors)

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        numbers: dict[str, Any] | None = None
        tensors: dict[str, Tensor] = {}
        if self.path.exists():
            try:
                about, tensors = read_sealed(self.path, FORMAT)
                numbers = self._checked(about)
            except SealError as error:
                raise self._refused(f"{error}") from error
            if about["finished"]:
                return (numbers or {}), tensors
        self._put(numbers, tensors)
        return None if numbers is None else (numbers, tensors)

    def _checked(self, about: dict[str, Any]) -> dict[str, Any] | None:
        """The numbers of a file that is what it should be."""
        if about.get("kind") != self.kind:
            raise self._refused(f"it is a resume file of kind {shown(str(about.get('kind')))}, and this is {self.kind}")
        told = about["bound"]
        for name in [*self.bound, *(name for name in told if name not in self.bound)]:
            found, wanted = told.get(name), self.bound.get(name)
            if _as_text(found) != _as_text(wanted):
                raise self._refused(_difference(name, found, wanted))
        owner = about["owner"]
        if owner is not None and self._at_work(owner):
            raise ResumeError(
                f"{printable(str(self.path))} is in use by process {owner[1]} on this machine; wait until it has "
                "ended, or give another name"
            )
        numbers: dict[str, Any] | None = about["numbers"]
        return numbers

    def _write(self, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor], finished: bool) -> None:
        owner = self._owner_now()
        if owner is not None and owner != self._owner:
            raise ResumeError(
                f"{printable(str(self.path))} has been taken by another run (process {owner[1]} on "
                f"{shown(str(owner[0]))}), which goes on with it; this one ends"
            )
        self._put(numbers, tensors, finished)

    def _put(self, numbers: Mapping[str, Any] | None, tensors: Mapping[str, Tensor], finished: bool = False) -> None:
        begun = time.monotonic()
        about = {"kind": self.kind, "bound": self.bound, "numbers": numbers, "finished": finished}
        write_sealed(self.path, FORMAT, {**about, "owner": None if finished else self._owner}, tensors)
        self._last = time.monotonic()
        self._cost = self._last - begun

    def _owner_now(self) -> list[Any] | None:
        """Whose file it is: host, process and a random name."""
        owner = header_of(self.path, FORMAT).get("owner")
        return owner if isinstance(owner, list) and len(owner) == len(self._owner) else None

    def _at_work(self, owner: list[Any]) -> bool:
        """Whether another process of this machine has the file; of those on other machines nothing is known."""
        host, process, _ = owner
        return host == self._owner[0] and process != os.getpid() and at_work(process, self.path)

    def _refused(self, reason: str) -> ResumeError:
        todo = "give another name, or remove it to begin anew"
        return ResumeError(f"cannot go on from {printable(str(self.path))}: {reason}; {todo}")


def _difference(name: str, found: Any, wanted: Any) -> str:
    """What it means that the file was made with another value."""
    if name in ("respike", "torch"):
        return f"it was written with {name} {shown(str(found))}, and this is {name} {wanted}"
    if name in _OTHERS:
        return _OTHERS[name]
    if any(isinstance(x, str) and re.fullmatch("[0-9a-f]{64}", x) for x in (found, wanted)):
        return f"it was made with other {name}"
    return f"it was made with {name}={shown(repr(found))}, and this has {name}={shown(repr(wanted))}"


def _as_json(value: Any) -> Any:
    """As it is when it has been in a file: tuples are lists."""
    return json.loads(json.dumps(value))


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # in which NaN is NaN, and 1 is not True


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return version("respike")
    except PackageNotFoundError:
        return "unknown"
