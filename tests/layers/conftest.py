"""Which kernels there are to be tested here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest

from respike.layers import kernels


@pytest.fixture(params=["eager", "numba"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Everything that runs on the CPU runs in this backend."""
    if request.param not in kernels.available():
        pytest.skip(f"needs the package {request.param}")
    kernels.use(request.param)
    yield request.param
    kernels.use(None)


@pytest.fixture(params=["numba", pytest.param("triton", marks=pytest.mark.cuda)])
def compiled(request: pytest.FixtureRequest) -> tuple[ModuleType, str]:
    """Compiled kernels, and the device that they run on."""
    if find_spec(request.param) is None:
        pytest.skip(f"needs the package {request.param}")
    if request.param == "numba":
        return import_module("respike.layers.kernels.cpu"), "cpu"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return import_module("respike.layers.kernels.gpu"), "cpu"
    return import_module("respike.layers.kernels.gpu"), "cuda"
