"""Write files whole or not at all: the one way in which anything of the project writes."""

from __future__ import annotations

import errno
import os
import re
import secrets
import signal
import stat
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from platform import node
from types import FrameType
from typing import Final

from .errors import RespikeError
from .text import printable

_ENDING: Final = 40
"""Characters of a file's name that its temporary file begins with: file systems allow 255 bytes in all."""
_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a process unless it listens, and leaves it the time to clean up."""
_TEMPORARY: Final[set[Path]] = set()
"""The files that are being written."""


class WriteError(RespikeError, OSError):
    """A file that could not be written. What was there before is still there, whole."""

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to, which takes ``path``'s place when the block ends well.

    A symbolic link stays one, and the file that it leads to is written. The permissions of a file that was there
    stay. No temporary file is left behind by an exception or a signal; one that a killed process left is removed when
    the same path is written the next time.

    Raises:
        FileNotFoundError: the folder does not exist.
        WriteError: an ``OSError``: something other than a regular file is there, or the system does not let it be
            written, say because the disk is full.
    """
    target, before = _target(path)
    _clean(target)
    temporary = target.with_name(f"{_beginning(target)}{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with _removed(temporary):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield temporary
            _settle(temporary, before)
            os.replace(temporary, target)
    except WriteError:  # of another file, written in the block
        raise
    except OSError as error:
        number = error.errno
        if number is None or error.filename not in (None, str(temporary)):
            raise
        kept = "" if before is None else "; the file that was there is unchanged"
        raise WriteError(number, f"cannot write {printable(str(path))}: {os.strerror(number).lower()}{kept}") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out what can be known before the work begins.

    Raises:
        FileNotFoundError: the folder does not exist.
        WriteError: something other than a regular file is there, or one that must not be written.
    """
    target, _ = _target(path)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise WriteError(errno.EACCES, f"cannot write {printable(str(path))}: no permission to write in its folder")


def _target(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """The file that a path leads to, and what is there now."""
    name = printable(str(path))
    if os.path.islink(path) and not os.path.exists(path):
        raise WriteError(errno.ENOENT, f"cannot write {name}: it is a symbolic link that leads to no file")
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        folder = printable(str(Path(path).parent))
        raise FileNotFoundError(f"cannot write {name}: the folder {folder} does not exist")
    try:
        before = os.stat(path)
    except FileNotFoundError:
        return target, None
    except OSError as error:  # a name that is too long for the file system
        raise WriteError(error.errno, f"cannot write {name}: {str(error.strerror).lower()}") from error
    if not stat.S_ISREG(before.st_mode):
        kind = "a folder" if stat.S_ISDIR(before.st_mode) else "a device, a pipe or a socket"
        raise WriteError(errno.EINVAL, f"cannot write {name}: it is {kind}, not a regular file")
    if not os.access(target, os.W_OK):
        raise WriteError(errno.EACCES, f"cannot write {name}: the file that is there is write-protected")
    return target, before


def _settle(temporary: Path, before: os.stat_result | None) -> None:
    """Give the file the permissions of the one that it replaces, and make sure that the disk has it."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    if before is not None:
        if sys.platform != "win32" and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(PermissionError):  # to give files away is for the administrator
                os.chown(temporary, before.st_uid, before.st_gid)
        os.chmod(temporary, stat.S_IMODE(before.st_mode))


@contextmanager
def _removed(temporary: Path) -> Iterator[None]:
    """Remove the file when the block ends, or a signal ends the process."""
    _TEMPORARY.add(temporary)
    heard = []
    if threading.current_thread() is threading.main_thread():  # others may not listen
        heard = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    for number in heard:
        signal.signal(number, _end)
    try:
        yield
    finally:
        temporary.unlink(missing_ok=True)
        _TEMPORARY.discard(temporary)
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    """Remove all temporary files, those of blocks within blocks too, and let the signal do what it would have done."""
    for temporary in list(_TEMPORARY):
        temporary.unlink(missing_ok=True)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _beginning(target: Path) -> str:
    """Of the temporary files of a path, on this machine; behind it stands the process."""
    return f".{target.name[:_ENDING]}-{zlib.crc32(node().encode()):08x}-"


def _clean(target: Path) -> None:
    """Remove what processes that are no more have left here."""
    beginning = _beginning(target)
    pattern = re.compile(re.escape(beginning) + r"(\d+)-[0-9a-f]{8}\.tmp")
    with suppress(OSError):  # a folder that cannot be listed
        for found in target.parent.iterdir():
            match = pattern.fullmatch(found.name)
            if match is not None and not at_work(int(match[1]), found):
                found.unlink(missing_ok=True)


def at_work(process: int, file: Path) -> bool:
    """Whether the process that made the file is still there, and not another one that has its number now."""
    import psutil

    try:
        found = psutil.Process(process)
        since: float = found.create_time()
        return found.status() != psutil.STATUS_ZOMBIE and since <= file.stat().st_ctime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.Error:
        return True
