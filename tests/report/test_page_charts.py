"""Charts as files, and pages as text."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Converted
from PIL import Image

import respike
from respike.report import Report, write_charts, write_page
from respike.report.charts import charts
from respike.report.charts.files import drawn
from respike.report.page.page import told_apart
from respike.report.page.verdict import verdict
from respike.report.page.words import energy, large, percent
from respike.report.theme import coloured, colours


@pytest.mark.slow
def test_every_chart_becomes_a_file(converted: Converted, tmp_path: Path) -> None:
    made = charts(converted.report)
    files = write_charts(converted.report, tmp_path / "charts")
    assert [f.name for f in files] == [f"{c.key}.svg" for c in made]
    assert len({c.key for c in made}) == len(made) > 15
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "var(--" not in text
        assert len(ElementTree.fromstring(text).findall(".//{*}path")) > 3, file.name


@pytest.mark.slow
def test_a_png_has_the_colours_of_its_paper(converted: Converted) -> None:
    spec = dict(next(c.spec for c in charts(converted.report) if c.key == "errors"))
    for scheme in ("light", "dark"):
        pixels = np.asarray(Image.open(io.BytesIO(drawn(spec, 460, "png", scheme))).convert("RGB")).reshape(-1, 3)
        found = {tuple(p) for p in np.unique(pixels, axis=0)}
        for name in ("card", "n0", "n1"):  # paper, quantisation, clipping
            assert tuple(bytes.fromhex(colours(scheme)[name][1:])) in found, (scheme, name)


def test_other_formats_are_refused(converted: Converted, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not as 'gif'"):
        write_charts(converted.report, tmp_path, "gif")
    with pytest.raises(ValueError, match="'light' or 'dark'"):
        write_charts(converted.report, tmp_path, scheme="blue")
    assert list(tmp_path.iterdir()) == []


def test_both_schemes_have_all_colours_and_words_keep_theirs() -> None:
    assert colours("light").keys() <= colours("dark").keys() and colours("light") != colours("dark")
    spec = {"color": "var(--ink)", "rows": ["var(--no-colour)", "ink", 3]}
    assert coloured(spec, "dark") == {"color": "#e8edf3", "rows": ["var(--no-colour)", "ink", 3]}


def test_the_verdict_has_the_numbers(converted: Converted) -> None:
    report = converted.report
    result, diagnosis, cost = report.evaluation, report.diagnosis, report.cost
    assert diagnosis is not None and cost is not None
    said = verdict(report)
    assert f"After 5 timesteps the spiking network is right on {percent(result['accuracy'][-1])} of 48" in said[0]
    assert f"same answer on {percent(result['agreement'][-1])}" in said[0]
    points = 100 * (result["accuracy"][-1] - result["ann_accuracy"])
    assert f"{abs(points):.2f} points {'more' if points > 0 else 'less'} than" in said[0]
    assert energy(cost["energy"][-1]) in said[1]
    faults = [f["text"] for f in diagnosis["findings"] if f["fault"]]
    worst = max(diagnosis["layers"], key=lambda x: x["error"] / x["scale"])
    sound = report.diagnosis | {"findings": [f for f in diagnosis["findings"] if not f["fault"]]}
    assert worst["where"] in verdict(replace(report, diagnosis=sound))[-1]
    broken = {"cause": "dead", "fault": True, "layer": "x", "text": "It is dead.", "suggestion": "wake it"}
    assert verdict(replace(report, diagnosis=diagnosis | {"findings": [broken]}))[-1] == "It is dead."
    assert said[-len(faults) :] == faults if faults else True


def test_numbers_in_words() -> None:
    assert [percent(None), percent(0.99675), percent(-1e-9, 0), percent(-0.02, 0)] == ["–", "99.67 %", "0 %", "−2 %"]
    assert [large(x) for x in (12, 5045632, 2.5e9)] == ["12", "5.05 million", "2.5 billion"]
    assert [energy(x) for x in (1.04e6, 23.27e6, 5123e6, 1500)] == ["1.040 µJ", "23.27 µJ", "5,123 µJ", "0.001500 µJ"]


def test_reports_of_the_same_name_are_told_apart(converted: Converted) -> None:
    short = converted.report
    curves = {
        key: short.evaluation[key][:3] for key in ("accuracy", "agreement", "spikes", "synops", "macs", "latency")
    }
    other = replace(short, evaluation={**short.evaluation, **curves})
    assert told_apart([short, other]) == ["small net, T = 5", "small net, T = 3"]
    assert told_apart([short, short, replace(short, name="b")]) == ["small net, T = 5 (1)", "small net, T = 5 (2)", "b"]


def test_pages_that_cannot_be_written(converted: Converted, tmp_path: Path) -> None:
    report, path = converted.report, tmp_path / "page.html"
    with pytest.raises(ValueError, match="no report"):
        write_page([], path)
    with pytest.raises(ValueError, match="at most 10 reports, got 11"):
        write_page([report] * 11, path)
    other = Report("b", {**report.evaluation, "metric": "squared error"})
    with pytest.raises(ValueError, match="accuracy, squared error"):
        write_page([report, other], path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_page(report, tmp_path / "nowhere" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_has_a_page_of_its_own(converted: Converted, tmp_path: Path) -> None:
    result = respike.evaluate(converted.snn, converted.data)
    write_page(Report.of(result, "alone"), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>alone</h1>" in text and f"{100 * result.accuracy[-1]:.2f} %" in text
    assert re.findall(r'<section id="part-(\w+)"', text) == ["accuracy", "cost", "layers"]
