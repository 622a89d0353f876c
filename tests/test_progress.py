"""Progress reporting: as numbers, as lines of text, or by a bar on a terminal and nowhere else."""

from __future__ import annotations

import doctest
import io
from collections.abc import Callable

import pytest
import torch
from rich.console import Console
from torch import nn

import respike
from respike import progress
from respike.progress import SILENT, Bar, Lines, Progress, in_words, listener

X, Y = torch.rand(20, 4), torch.arange(20) % 3


class Heard(Progress):
    def __init__(self) -> None:
        self.reports: list[tuple[str, int, int | None]] = []

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        self.reports.append((stage, done, total))


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_a_conversion_and_what_follows_tell_one_object() -> None:
    heard = Heard()
    snn = respike.from_torch(net(), X, 4, progress=heard)
    assert heard.reports == [("tracing the model", 0, None), *(("calibrating layers", k, 2) for k in (1, 2))]
    early = respike.EarlyExit(snn, X)
    parts: dict[str, Callable[[], object]] = {
        "evaluating": lambda: respike.evaluate(snn, (X, Y), batch_size=10, progress=heard),
        "stopping early": lambda: respike.evaluation.evaluate_exit(early, (X, Y), batch_size=10, progress=heard),
    }
    for stage, part in parts.items():
        heard.reports.clear()
        part()
        assert heard.reports == [(stage, done, 20) for done in (0, 10, 20)]
    heard.reports.clear()
    respike.diagnose(snn, X, progress=heard)
    assert heard.reports[0] == ("diagnosing", 0, 20) and heard.reports[-1] == ("diagnosing", 20, 20)


def test_a_function_is_told_lines_of_text() -> None:
    said: list[str] = []
    respike.from_torch(net(), X, 4, threshold="max", progress=said.append)
    assert said == [
        "tracing the model",
        "reading batches: 1",
        "calibrating layers: 1 of 2",
        "calibrating layers: 2 of 2",
    ]
    assert in_words("a", 1000, 2000) == "a: 1,000 of 2,000"


def test_the_example_is_what_is_printed() -> None:
    found = doctest.testmod(progress)
    assert found.failed == 0 < found.attempted


def test_what_users_may_pass() -> None:
    heard = Heard()
    assert listener(heard) is heard and isinstance(listener(print), Lines)
    assert listener(None) is listener(False, default=True) is SILENT
    assert isinstance(listener(True), Bar) and isinstance(listener(None, default=True), Bar)
    with pytest.raises(respike.ConversionError, match=r"progress must be a function, a respike\.progress"):
        respike.from_torch(net(), X, 4, progress="bar")  # type: ignore[arg-type]


def test_a_conversion_moves_the_bar_and_takes_it_away() -> None:
    console = terminal()
    with Bar(console) as bar:
        snn = respike.from_torch(net(), X, 4, progress=bar)
        respike.evaluate(snn, (X, Y), progress=bar)  # leaves the bar to whoever made it
        bar.report("last words")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "last words" in shown and "left:" in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the line is erased, so that what follows begins clean


def test_the_time_left_is_that_of_the_parts_of_a_stage() -> None:
    clock = [0.0]
    console = terminal()
    console.get_time = lambda: clock[0]  # type: ignore[method-assign]
    with Bar(console) as bar:
        bar.report("loading")
        for layer in range(4):
            clock[0] += 3600.0 if layer == 0 else 10.0
            bar.report("calibrating layers", layer, 6)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "calibrating layers: 3 of 6" in shown
    assert "0:00:30" in shown  # three layers at ten seconds each; the hour was another stage's


def test_nothing_is_shown_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    snn = respike.from_torch(net(), X, 4)
    respike.evaluate(snn, (X, Y))
    with Bar() as bar:
        bar.report("unseen")
    assert capfd.readouterr() == ("", "")
    respike.evaluate(snn, (X, Y), progress=True)
    assert "evaluating: 20 of 20" in capfd.readouterr().err
