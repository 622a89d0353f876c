"""What ``cli_models:tiny`` and others name on the command line, and how the tests type it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner, Result
from torch import nn

from respike.cli import main


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="respike")


def tiny() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))


def photos() -> nn.Module:
    """For images of three classes, cut to 16 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
        return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), *head)


def words() -> nn.Module:
    """For 6 tokens of 10."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Embedding(10, 8), nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, 3))


def other() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(81, 10))


def broken() -> nn.Module:
    raise RuntimeError("no such luck")


def leaves() -> nn.Module:
    raise SystemExit(3)


def write_data(path: Path, count: int = 30, shape: tuple[int, ...] = (1, 28, 28), labels: bool = True) -> str:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.random((count, *shape), np.float32)}
    np.savez(path, **arrays, **({"y": rng.integers(0, 10, count)} if labels else {}))
    return str(path)


@functools.cache
def every_command() -> list[str]:
    return list(main.commands)
