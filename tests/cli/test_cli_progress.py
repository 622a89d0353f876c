"""How far long work is: on a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest
import torch
from cli_models import run, tiny
from rich.console import Console
from torch.utils.data import DataLoader, TensorDataset

import respike
from respike.cli.progress import batches, stages


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_a_conversion_moves_the_bar_and_takes_it_away() -> None:
    console = terminal()
    with stages(console) as say:
        respike.from_torch(tiny(), torch.rand(20, 1, 28, 28), 4, progress=say)
        say("last words")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "last words" in shown and "left:" in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the line is erased, so that what follows begins clean


def test_the_time_left_is_that_of_the_steps_of_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    console = terminal()
    console.get_time = lambda: clock[0]  # type: ignore[method-assign]
    with stages(console) as say:
        say("loading")
        for layer in range(1, 5):
            clock[0] += 3600.0 if layer == 1 else 10.0
            say(f"calibrating layer {layer} of 6")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "calibrating layer 4 of 6" in shown
    assert "0:00:30" in shown  # three layers at ten seconds each; the hour was another stage's


def test_batches_are_counted() -> None:
    console = terminal()
    loader = DataLoader(TensorDataset(torch.arange(10)), batch_size=5)
    with batches(loader, "stopping early", console) as watched:
        assert [len(x) for (x,) in watched] == [5, 5]
    assert "stopping early" in console.file.getvalue()  # type: ignore[attr-defined]


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    result = run("convert", "mnist_mlp", "-T", "2", "--samples", "16")
    assert result.exit_code == 0 and not result.stderr
