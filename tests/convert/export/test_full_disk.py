"""Where the disk is full, each way out raises an error, and what was there stays whole."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import converted
from samples import quick_are
from torch import nn

import respike
from respike.files import WriteError

resource = pytest.importorskip("resource", reason="of POSIX systems only")

WAYS: dict[str, Callable[[Any, Path], Any]] = {
    "net.nir": lambda snn, path: snn.to_nir(path),
    "net.onnx": lambda snn, path: snn.to_onnx(path),
    "net.py": lambda snn, path: snn.to_python(path),
    "net.respike": lambda snn, path: snn.save(path),
    "net.tuning": lambda snn, path: respike.finetune(snn, torch.rand(40, 200), steps=1, resume=path),
}


@contextmanager
def files_of(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    before, heard = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)


@pytest.mark.parametrize("name", quick_are([name for name in WAYS if name != "net.onnx"], WAYS))
def test_a_full_disk(name: str, tmp_path: Path) -> None:
    """HDF5 does not survive one, so it must not write to it; code and tensors must not be of two networks."""
    torch.manual_seed(0)
    snn = converted(nn.Sequential(nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 2)), torch.rand(40, 200))
    snn.to_nir(tmp_path / "first.nir")  # libraries that are needed are imported
    (tmp_path / "first.nir").unlink()
    there = {name} if name == "net.tuning" else {name, "net.safetensors"}
    for file in there - {"net.tuning"}:
        (tmp_path / file).write_text("what was there")
    with files_of(5000), pytest.raises(WriteError, match="file too large"):
        WAYS[name](snn, tmp_path / name)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == dict.fromkeys(there - {"net.tuning"}, "what was there")
