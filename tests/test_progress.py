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
from respike.convert.calibrate.layer_order import Stop
from respike.convert.calibrate.second_pass import Sequential
from respike.progress import SHARES, SILENT, Bar, Lines, Progress, in_words, listener

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
    (traced, *layers, first, last) = heard.reports
    assert (first, last) == tuple(("judging on held-back samples", k, 2) for k in (0, 2))
    assert traced == ("tracing the model", 0, None)
    names = [f"calibrating layer {k} of 3, {name}" for k, name in enumerate(["1 (ReLU)", "3 (ReLU)", "4 (Linear)"], 1)]
    assert [stage for stage, _, _ in layers] == [*names, names[-1]]
    shares = [done for _, done, _ in layers]
    assert shares[0] == 0 and shares[-1] == SHARES and shares == sorted(set(shares))
    assert {total for _, _, total in layers} == {SHARES}
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
    assert said[:3] == ["tracing the model", "reading batches: 1", "calibrating layer 1 of 3, 1 (ReLU): 0 %"]
    judging = [f"judging on held-back samples: {done} of 2" for done in (0, 2)]
    assert said[-3:] == ["calibrating layer 3 of 3, 4 (Linear): 100 %", *judging]
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


def test_a_layer_is_named_before_it_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, before = Heard(), []
    calibrated = Sequential._calibrate

    def seen(self: Sequential, stop: Stop) -> None:
        before.append((stop.node.where, heard.reports[-1][0].split(", ")[1]))
        calibrated(self, stop)

    monkeypatch.setattr(Sequential, "_calibrate", seen)
    respike.from_torch(net(), X, 4, progress=heard)
    assert before == [("1 (ReLU)", "1 (ReLU)"), ("3 (ReLU)", "3 (ReLU)")]


def test_layers_count_by_their_work() -> None:
    """Of three layers the second has 10,000 times the weights of the others."""
    heard = Heard()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        wide = nn.Sequential(
            *(layer for n, m in ((4, 300), (300, 300), (300, 4)) for layer in (nn.Linear(n, m), nn.ReLU()))
        )
    respike.from_torch(wide, X, 4, correction="bias", progress=heard)
    first, second, third, end = (done for stage, done, _ in heard.reports if stage.startswith("calibrating"))
    assert first == 0 and second < SHARES // 5 and third > SHARES * 3 // 4 and end == SHARES


def hours(console: Console, steps: list[tuple[str, float, int]]) -> None:
    """A bar that is told of a stage, then of another whose parts take so many seconds."""
    clock = [0.0]
    console.get_time = lambda: clock[0]  # type: ignore[method-assign]
    with Bar(console) as bar:
        bar.report("loading")
        clock[0] = 3600.0
        for stage, seconds, done in steps:
            clock[0] += seconds
            bar.report(stage, done, SHARES)


def test_the_time_left_is_that_of_the_parts_of_a_stage() -> None:
    """Half of the work took 100 seconds, in layers of unlike work; the hour before was another stage's."""
    console = terminal()
    hours(console, [("layer 1", 0.0, 0), ("layer 2", 90.0, SHARES * 9 // 20), ("layer 3", 10.0, SHARES // 2)])
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "layer 3: 50 %" in shown and "left: 0:01:40" in shown


def test_the_time_left_is_known_once_one_part_is_done() -> None:
    console = terminal()
    hours(console, [("layer 1", 0.0, 0), ("layer 2", 90.0, SHARES // 10)])
    assert "left: 0:13:30" in console.file.getvalue()  # type: ignore[attr-defined]


def test_lines_say_the_time_left_of_stages_that_take_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    said: list[str] = []
    lines = Lines(said.append)
    reports = [("a", 0), ("a", 1), ("b", SHARES // 4), ("b", SHARES), ("c", 0), ("c", SHARES // 2)]
    for seconds, (stage, done) in zip([0, 1, 20, 60, 1, 6], reports, strict=True):
        clock[0] += seconds
        lines.report(stage, done, SHARES)
    assert said == ["a: 0 %", "a: 0 %", "b: 25 %, 0:01:03 left", "b: 100 %", "c: 0 %", "c: 50 %, 0:00:06 left"]


def test_nothing_is_shown_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    snn = respike.from_torch(net(), X, 4)
    respike.evaluate(snn, (X, Y))
    with Bar() as bar:
        bar.report("unseen")
    assert capfd.readouterr() == ("", "")
    respike.evaluate(snn, (X, Y), progress=True)
    assert "evaluating: 20 of 20" in capfd.readouterr().err
