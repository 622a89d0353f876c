"""Broken and malicious NIR files get a clear error, soon and with little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import respike
from respike.convert import ConversionError, FormatError

h5py = pytest.importorskip("h5py", reason="NIR files need respike[nir]")
pytest.importorskip("nir", reason="NIR files need respike[nir]")

import nir_hostile  # noqa: E402
from samples import one_in  # noqa: E402

from respike.convert.nir_file import read as reading  # noqa: E402

MUTATE = Path(__file__).with_name("mutate_nir.py")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.nir"
    nir_hostile.good(path)
    assert respike.from_nir(path).timesteps == 4
    return path.read_bytes()


@pytest.mark.parametrize("name", one_in(6, nir_hostile.CHANGED))
def test_a_changed_file_is_refused(name: str, base: bytes, tmp_path: Path) -> None:
    change, word = nir_hostile.CHANGED[name]
    path = tmp_path / "net.nir"
    path.write_bytes(base)
    with h5py.File(path, "r+") as file:
        change(file)
    began = time.process_time()
    with pytest.raises(ConversionError) as caught:
        respike.from_nir(path)
    assert word in str(caught.value)
    assert "damaged" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert str(caught.value).replace("\n", "").isprintable()
    assert time.process_time() - began < 5


@pytest.mark.parametrize("what", ["empty", "text", "half", "a byte less"])
def test_what_is_no_hdf5_is_refused(what: str, base: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    path.write_bytes({"empty": b"", "text": b"NIR" * 999, "half": base[: len(base) // 2]}.get(what, base[:-1]))
    with pytest.raises(FormatError, match="cannot import"):
        respike.from_nir(path)


@pytest.mark.parametrize("end", ["circles", "crash", "memory"])
def test_the_reading_process_may_die(end: str, base: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HDF5 lets it on some broken files: it runs in circles, crashes, or takes all memory."""
    path = tmp_path / "net.nir"
    path.write_bytes(base)
    does = {"circles": "while True: pass", "crash": "import os; os.abort()", "memory": "x = bytes(2**34)"}[end]
    limit = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 2));" if end == "circles" else ""
    program = reading._PROGRAM.replace(
        "main(sys.argv[2])",
        f"import respike.convert.nir_file.child as c; c.contents = lambda file: exec({does!r})\n"
        f"{limit}\nc._limit = c._limit if {end!r} == 'memory' else lambda size: None\nmain(sys.argv[2])",
    )
    monkeypatch.setattr(reading, "_PROGRAM", program)
    with pytest.raises(FormatError, match="damaged, and reading it was broken off"):
        respike.from_nir(path)


@pytest.mark.slow
def test_broken_bytes_are_refused_or_read(base: bytes, tmp_path: Path) -> None:
    """In a process for many, which is quick; one that ends is begun again behind the file that ended it."""
    count, refused, first = 400, 0, 0
    path = os.pathsep.join([str(Path(respike.__file__).parents[1]), *filter(None, [os.getenv("PYTHONPATH")])])
    while first < count:
        done = subprocess.run(
            [sys.executable, str(MUTATE), str(first), str(count)],
            input=base,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            timeout=600,
            check=False,
        )
        lines = done.stdout.decode().split()
        assert lines, done.stderr.decode()[-2000:]
        assert "raised" not in lines, done.stderr.decode()[-2000:]
        refused += lines.count("refused")
        first += max(1, len([line for line in lines if line.isdigit()]))
    assert count / 4 < refused < count
