"""Files are written whole or not at all, through links, with their permissions; nothing is left beside them."""

from __future__ import annotations

import ast
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import respike
from respike.files import WriteError, check_writable, written_whole

resource = pytest.importorskip("resource", reason="of POSIX systems only")
ROOT = Path(respike.__file__).parents[1]
TEXT = "what was there"


def put(path: Path, text: str = "new") -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.txt"
    path.write_text(TEXT)
    return path


def test_a_file_takes_the_place_of_the_old_one(old: Path) -> None:
    put(old)
    assert old.read_text() == "new" and names(old.parent) == {"old.txt"}


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(old: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with written_whole(old) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert old.read_text() == TEXT and names(old.parent) == {"old.txt"}


def test_a_link_stays_one_and_its_file_is_written(old: Path) -> None:
    (old.parent / "folder").mkdir()
    one, two = old.parent / "folder" / "one", old.parent / "two"
    one.symlink_to("../old.txt")
    two.symlink_to(one)
    put(two)
    assert two.is_symlink() and one.is_symlink() and not old.is_symlink() and old.read_text() == "new"
    assert names(old.parent) == {"old.txt", "two", "folder"} and names(one.parent) == {"one"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permissions_stay(old: Path, mode: int) -> None:
    old.chmod(mode)
    put(old)
    assert stat.S_IMODE(old.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_those_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        put(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask


def fifo(path: Path) -> Path:
    os.mkfifo(path / "pipe")
    return path / "pipe"


def linked(path: Path, to: str) -> Path:
    (path / "link").symlink_to(to)
    return path / "link"


ODD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "device": (lambda path: Path("/dev/null"), "a device, a pipe or a socket, not a regular file"),
    "pipe": (fifo, "a device, a pipe or a socket, not a regular file"),
    "folder": (lambda path: path, "a folder, not a regular file"),
    "link to a device": (lambda path: linked(path, "/dev/full"), "a device, a pipe or a socket, not a regular file"),
    "link to nothing": (lambda path: linked(path, "gone"), "a symbolic link that leads to no file"),
    "link to itself": (lambda path: linked(path, "link"), "a symbolic link that leads to no file"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_is_refused_and_stays(name: str, tmp_path: Path) -> None:
    make, message = ODD[name]
    path = make(tmp_path)
    before = os.lstat(path)
    for attempt in (put, check_writable):
        with pytest.raises(WriteError, match=rf"^cannot write .*{message}$"):
            attempt(path)
    assert os.lstat(path).st_ino == before.st_ino and os.lstat(path).st_mode == before.st_mode
    assert names(tmp_path) <= {"pipe", "link"}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*the folder .*nowhere does not exist"):
        put(tmp_path / "nowhere" / "file")


def test_a_write_protected_file_is_not_replaced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for anybody but the administrator
    with pytest.raises(WriteError, match="the file that is there is write-protected"):
        put(old)
    assert old.read_text() == TEXT


def test_a_full_disk_leaves_the_old_file(old: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with (
            pytest.raises(WriteError, match=r"old.txt: file too large; the file that was there is unchanged"),
            written_whole(old) as temporary,
        ):
            temporary.write_bytes(bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert old.read_text() == TEXT and names(old.parent) == {"old.txt"}


def test_a_file_within_the_block_of_another_says_its_own_name(old: Path) -> None:
    (old.parent / "inner").mkdir()
    with (
        pytest.raises(WriteError, match=r"cannot write .*inner: it is a folder"),
        written_whole(old),
        written_whole(old.parent / "inner"),
    ):
        pass
    assert old.read_text() == TEXT and names(old.parent) == {"old.txt", "inner"}


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="file name too long"):
        put(tmp_path / ("a" * 300))


HALF = """
import signal, sys
from respike.files import written_whole
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which tests may run, has it ignored
with written_whole(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    sys.stdin.readline()
"""


WITHIN = HALF.replace("as temporary", "as temporary, written_whole(sys.argv[1] + '2')")
"""The same with a second file, written in the block of the first."""


def killed(path: Path, number: int, program: str = HALF) -> int:
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        assert len(names(path.parent)) == 1 + program.count("written_whole(")
        process.send_signal(number)
        return process.wait(60)


@pytest.mark.parametrize(
    ("number", "program"), [(signal.SIGTERM, HALF), (signal.SIGHUP, HALF), (signal.SIGTERM, WITHIN)]
)
def test_a_signal_leaves_nothing_behind(old: Path, number: signal.Signals, program: str) -> None:
    assert killed(old, number, program) == -number
    assert old.read_text() == TEXT and names(old.parent) == {"old.txt"}


def test_what_a_killed_process_left_goes_with_the_next_write(old: Path) -> None:
    assert killed(old, signal.SIGKILL) == -signal.SIGKILL
    (left,) = names(old.parent) - {"old.txt"}
    other = old.with_name("other.txt")
    put(other)
    assert left in names(old.parent)  # only those of the same path
    with written_whole(old) as mine:  # and not those of processes at work
        put(old)
        assert names(old.parent) == {"old.txt", "other.txt", mine.name}
    assert names(old.parent) == {"old.txt", "other.txt"}


def test_handlers_of_signals_are_as_before(old: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    put(old)
    assert signal.getsignal(signal.SIGTERM) is before


WRITES = {"write_text", "write_bytes", "savefig", "savez", "savez_compressed"}
NEVER = {"save_file", "serialize_file"}
"""Of safetensors: they write to a temporary file of their own, which a killed process leaves for ever."""


def test_everything_that_writes_does_so_this_way() -> None:
    """A call that writes stands in a ``with written_whole``, or in a temporary folder."""
    files = [*(ROOT / "respike").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
    assert len(files) > 100
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        safe = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.With)
            and any(word in ast.unparse(node.items[0]) for word in ("written_whole", "TemporaryDirectory"))
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                opened = name == "open" and any(ast.unparse(a) in ("'w'", "'wb'", "'a'", "'x'") for a in node.args)
                assert node in safe or (name not in WRITES and not opened), f"{file}:{node.lineno}"
                assert name not in NEVER, f"{file}:{node.lineno}"
