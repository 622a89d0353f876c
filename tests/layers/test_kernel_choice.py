"""Which kernels run: by device and package, by ``use``, by the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from kernel_cases import random

from respike.layers import kernels
from respike.layers.kernels import Drive, Rule, Send, _choice, eager

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ALL = frozenset(kernels.BACKENDS)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """What counts as installed, everything at first; nothing is chosen."""
    names = set(ALL)
    monkeypatch.setattr(_choice, "_installed", names.__contains__)
    monkeypatch.delenv(_choice.VARIABLE, raising=False)
    kernels.use(None)
    yield names
    kernels.use(None)


def test_by_device() -> None:
    assert kernels.backend_for(CPU) == "numba"
    assert kernels.backend_for(CUDA) == "triton"
    assert kernels.backend_for(torch.device("meta")) == "eager"


def test_by_what_is_installed(installed: set[str]) -> None:
    assert kernels.available() == ["eager", "numba", "triton"]
    installed.discard("numba")
    assert kernels.available() == ["eager", "triton"]
    assert (kernels.backend_for(CPU), kernels.backend_for(CUDA)) == ("eager", "triton")


@pytest.mark.parametrize(
    ("name", "on_cpu", "on_cuda"),
    [("eager", "eager", "eager"), ("numba", "numba", "eager"), ("triton", "eager", "triton")],
)
def test_a_chosen_one_runs_where_it_can(name: str, on_cpu: str, on_cuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.use(name)
    assert (kernels.backend_for(CPU), kernels.backend_for(CUDA)) == (on_cpu, on_cuda)
    kernels.use(None)
    assert (kernels.backend_for(CPU), kernels.backend_for(CUDA)) == ("numba", "triton")
    monkeypatch.setenv("RESPIKE_KERNELS", name)
    assert (kernels.backend_for(CPU), kernels.backend_for(CUDA)) == (on_cpu, on_cuda)


def test_use_outdoes_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPIKE_KERNELS", "eager")
    kernels.use("numba")
    assert kernels.backend_for(CPU) == "numba"
    kernels.use(None)
    assert kernels.backend_for(CPU) == "eager"


def test_an_empty_variable_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPIKE_KERNELS", "")
    assert kernels.backend_for(CPU) == "numba"


def test_unknown_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"'fast'.*eager, numba, triton"):
        kernels.use("fast")
    assert kernels.backend_for(CPU) == "numba"
    monkeypatch.setenv("RESPIKE_KERNELS", "fast")
    with pytest.raises(ValueError, match=r"RESPIKE_KERNELS='fast'.*eager, numba, triton"):
        kernels.scan(Rule(), Drive(torch.zeros(1, 1, 1), 1), torch.tensor(1.0), (torch.zeros(()),), Send())


def test_a_package_that_is_not_there(installed: set[str]) -> None:
    installed.discard("numba")
    with pytest.raises(ValueError, match="pip install numba"):
        kernels.use("numba")
    assert kernels.backend_for(CPU) == "eager"


@pytest.mark.parametrize("name", ["eager", "numba"])
def test_what_is_chosen_is_what_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "numba":
        pytest.importorskip("numba")
    kernels.use(name)
    module = _choice._kernels(CPU)
    assert module.__name__.endswith({"eager": "kernels.eager", "numba": "kernels.cpu"}[name])
    for function, arguments in (
        ("scan", (Rule(), Drive(torch.zeros(1, 1, 1), 1), torch.tensor(1.0), (torch.zeros(()),), Send())),
        ("pooled_increments", (torch.zeros(1, 1, 1, 2, 2), torch.nn.MaxPool2d(2))),
    ):
        monkeypatch.setattr(module, function, lambda *args: (name, torch.is_grad_enabled()))
        assert getattr(kernels, function)(*arguments) == (name, False)


def test_what_a_backend_cannot_do_runs_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    kernels.use("numba")
    arguments = (Rule(), Drive(random(4, 2, 9).double(), 4), torch.tensor(1.0), (torch.zeros(()),), Send())
    expected = kernels.scan(*arguments)[0]
    assert expected.dtype == torch.float64 and expected.count_nonzero() > 0
    monkeypatch.setattr(eager, "scan", lambda *args: ("eager", ()))
    assert kernels.scan(*arguments) == ("eager", ())


@pytest.mark.slow
def test_compiled_kernels_are_kept_in_the_users_cache_folder(tmp_path: Path) -> None:
    """And the user's own functions stay where numba puts them."""
    code = """
import torch, numba, respike
from respike.layers.kernels import kept
before = kept.is_empty()
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
respike.from_torch(net, torch.rand(8, 3), 4)
print(before, kept.is_empty(), kept.folder(), repr(numba.config.CACHE_DIR))
"""
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    env |= {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    before, after, folder, untouched = done.stdout.split()
    assert (before, after, untouched) == ("True", "False", "''")
    assert Path(folder).is_relative_to(tmp_path) and list(Path(folder).rglob("*.nbc"))


def test_where_the_disk_is_full_kernels_are_compiled_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="of POSIX systems only")
    from respike.layers.kernels.cpu.parts import compiled

    def doubled(x: Any) -> Any:
        return x + x

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kernel = compiled(doubled)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limit[1]))
    try:
        assert kernel(3) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size]
