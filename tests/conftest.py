from __future__ import annotations

import gc
import os
import sys
import warnings
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "scripts"))  # behind all else: tests read some of them


if "PYTEST_XDIST_WORKER" in os.environ:  # workers that share the cores must not fight for them
    torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))

    def pytest_collection_finish() -> None:
        """Exempt from garbage collection what lives as long as the worker: libraries and tests, millions of objects."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(torch.nn.Linear(1, 1), (torch.ones(1, 1),))
            program.run_decompositions({})  # torch loads a large part of itself when it traces for the first time
        gc.collect()
        gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Triton's interpreter, see ``test_triton.py``, needs no device."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if item.get_closest_marker("cuda") and not interpreted and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
