from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


if "PYTEST_XDIST_WORKER" in os.environ:  # workers that share the cores must not fight for them
    torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
