"""The report in a browser: its numbers are the report's, its charts are drawn, and it looks after its readers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Converted, Opener
from driving import CONTRAST, ask, press

import respike
from respike.models import datasets
from respike.report import Report, gather
from respike.report.charts import charts
from respike.report.page import page as page_of

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

selenium = pytest.importorskip("selenium.webdriver")

from plot_playground import prefer, resize  # noqa: E402
from plot_report import drawn  # noqa: E402

pytestmark = pytest.mark.slow

ERROR = "<img src=x onerror='window.hacked = 1'>"
END = "</script><script>window.hacked = 2</script>"


def rows(driver: Chrome, caption: str) -> list[list[str]]:
    """The words of a table's body."""
    code = "[...document.querySelectorAll('table')].find(t => t.caption.textContent.startsWith(arguments[0]))"
    cells = "[...r.cells].map(c => c.textContent)"
    return ask(driver, f"[...{code}.tBodies[0].rows].map(r => {cells})", caption)  # type: ignore[no-any-return]


def told(driver: Chrome, chart: str, step: int) -> dict[str, str]:
    """What the chart tells when one points at a timestep."""
    band = driver.find_elements("css selector", f"#{chart} .mark-rect path")[step - 1]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", band)
    selenium.ActionChains(driver, duration=0).move_to_element(band).perform()
    driver.execute_async_script("setTimeout(arguments[0], 60)")
    tip = "document.querySelector('#vg-tooltip-element.visible')"
    found = ask(driver, f"[...{tip}.querySelectorAll('tr')].map(r => [...r.cells].map(c => c.textContent))")
    return {key.rstrip(":"): value for key, value in found}


def renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: renamed(v, old, new) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [renamed(v, old, new) for v in value]
    return value.replace(old, new) if isinstance(value, str) else value


def changed(report: Report, *names: tuple[str, str]) -> Report:
    """The same with other names in it."""
    sections = {k: v for k, v in report.as_dict().items() if k != "format"}
    for old, new in names:
        sections = renamed(sections, old, new)
    return Report(**sections)


@pytest.fixture(scope="module")
def text(converted: Converted) -> str:
    return page_of(converted.report)


@pytest.fixture
def report_page(opened: Opener, text: str) -> Iterator[Chrome]:
    with opened(text) as driver:
        drawn(driver)
        yield driver


def test_it_holds_and_shows_what_was_found(report_page: Chrome, converted: Converted, text: str) -> None:
    report, result = converted.report, converted.report.evaluation
    assert len(text.encode()) < 2_500_000
    embedded = ask(report_page, "JSON.parse(document.getElementById('reports').textContent)")
    assert embedded == [json.loads(report.to_json())]
    shown = {row[0]: row[1:] for row in rows(report_page, "At every timestep")}
    assert list(shown) == ["1", "2", "3", "4", "5", "ANN"]
    for t in range(5):
        assert shown[str(t + 1)][:3] == [
            f"{100 * result['accuracy'][t]:.2f} %",
            f"{100 * result['agreement'][t]:.2f} %",
            f"{result['spikes'][t]:,.0f}",
        ]
    assert shown["ANN"][0] == f"{100 * result['ann_accuracy']:.2f} %"
    assert report.diagnosis is not None and report.decisions is not None
    assert [row[:3] for row in rows(report_page, "Layers beside")] == [
        [x["where"], f"{100 * x['error'] / x['scale']:.1f} %", f"{x['pearson']:.4f}"]
        for x in report.diagnosis["layers"]
    ]
    synops = {row[0]: row[-1] for row in rows(report_page, "Layers, at T = 5")}
    assert synops == {x["where"]: f"{x['synops'][-1]:,.0f}" for x in result["layers"]}
    pictures = ask(report_page, "[...document.querySelectorAll('.samples img')].map(i => [i.naturalWidth, i.alt])")
    differing = report.decisions["differing"]["shown"]
    assert pictures == [[12, f"Input of sample {one['index']}"] for one in differing]


def test_every_chart_is_drawn_and_its_marks_are_the_numbers(report_page: Chrome, converted: Converted) -> None:
    made, result = charts(converted.report), converted.report.evaluation
    assert drawn(report_page) == len(made)
    marks = "e => [e.dataset.chart, e.querySelectorAll('svg path').length]"
    counts = dict(ask(report_page, f"[...document.querySelectorAll('[data-chart]')].map({marks})"))
    assert set(counts) == {c.key for c in made}
    assert min(counts.values()) > 3
    label = "[...document.querySelectorAll('#accuracy .mark-symbol path')].map(e => e.getAttribute('aria-label'))"
    points = [re.findall(r"(\w+)[^:;]*: ([^;]+)", words) for words in ask(report_page, label) if words]
    found = {(p["series"], int(p["timesteps"])): float(p["accuracy"]) for p in map(dict, points) if "series" in p}
    assert {t: v for (name, t), v in found.items() if name == "SNN"} == pytest.approx(
        {t: 100 * v for t, v in enumerate(result["accuracy"], 1)}
    )


def test_pointing_at_a_timestep_tells_its_exact_values(report_page: Chrome, converted: Converted) -> None:
    report, result = converted.report, converted.report.evaluation
    for step in (2, 5):
        assert told(report_page, "accuracy", step) == {
            "timesteps": str(step),
            "SNN": f"{100 * result['accuracy'][step - 1]:.2f} %",
            "agreement with the ANN": f"{100 * result['agreement'][step - 1]:.2f} %",
            "ANN": f"{100 * result['ann_accuracy']:.2f} %",
        }
    assert report.cost is not None and report.sample is not None
    assert told(report_page, "energy", 3)["SNN"] == f"{report.cost['energy'][2] / 1e6:.4g} µJ"
    trace = report.sample["layers"][0]["trace"]
    assert told(report_page, "membrane-1", 4)["current"] == f"{trace['current'][3]:.3f} θ"


def test_light_and_dark_both_have_contrast_and_charts_follow(report_page: Chrome) -> None:
    seen = []
    line = "document.querySelector('#accuracy .mark-line path')"
    for scheme in ("light", "dark"):
        prefer(report_page, color_scheme=scheme)
        assert json.loads(report_page.execute_script(CONTRAST)) == []
        seen.append(
            ask(
                report_page,
                f"[document.body, {line}].map((e, k) => getComputedStyle(e)[k ? 'stroke' : 'backgroundColor'])",
            )
        )
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]
    assert seen[0][1] == "rgb(0, 114, 178)"


def test_no_screen_needs_sideways_scrolling_and_no_word_is_cut(opened: Opener, converted: Converted) -> None:
    long = changed(converted.report, ("1 (ReLU)", "backbone.stages.3.blocks.12.branch.relu (ReLU)"))
    with opened(page_of(long)) as driver:
        for width in (390, 1280):
            resize(driver, width, 844, mobile=width < 500)
            driver.refresh()
            drawn(driver)
            assert ask(driver, "[document.documentElement.scrollWidth, innerWidth]") == [width, width]
            driver.execute_script("document.querySelectorAll('details').forEach(e => { e.open = true; })")
            beyond = (
                "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
                " && !e.closest('.scroll') && !e.closest('svg')).map(e => e.outerHTML.slice(0, 99))"
            )
            assert ask(driver, beyond) == []
            cut = (
                "[...document.querySelectorAll('.drawing svg')].flatMap(s => [...s.querySelectorAll('text')]"
                ".filter(t => { const [a, b] = [s, t].map(e => e.getBoundingClientRect());"
                " return b.width && (b.left < a.left - 1 || b.right > a.right + 1); }).map(t => t.textContent))"
            )
            assert ask(driver, cut) == []


def test_the_keyboard_reaches_everything(report_page: Chrome) -> None:
    wanted = ask(
        report_page,
        "[...document.querySelectorAll('a, summary, [tabindex=\"0\"]')].filter(e => e.checkVisibility()).length",
    )
    assert wanted >= 12
    names = "(e => e.getAttribute('aria-label') || e.textContent)(document.activeElement)"
    reached = []
    for _ in range(wanted):
        press(report_page, selenium.Keys.TAB)
        reached.append(report_page.execute_script(f"return {names}"))
    assert len(set(reached)) == wanted and "" not in reached
    assert reached[:3] == ["To the content", "Accuracy", "Early exit"] and "Every timestep" in reached
    there = "a => document.querySelector(a.getAttribute('href')) !== null"
    assert all(ask(report_page, f"[...document.querySelectorAll('nav a, .skip')].map({there})"))


def test_paper_shows_everything_in_light_colours(report_page: Chrome) -> None:
    prefer(report_page, color_scheme="dark")
    report_page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert ask(report_page, "[...document.querySelectorAll('details:not([open])')].length") == 0
    report_page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert ask(report_page, "[...document.querySelectorAll('details[open]')].length") == 0
    report_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert ask(
        report_page, "[document.querySelector('nav'), document.querySelector('h1')].map(e => e.checkVisibility())"
    ) == [False, True]
    assert ask(report_page, "getComputedStyle(document.querySelector('h1')).color") == "rgb(27, 36, 48)"
    report_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_names_are_words_and_nothing_else(opened: Opener, converted: Converted) -> None:
    hostile = changed(converted.report, ("1 (ReLU)", ERROR), ("square", END), ("small net", END))
    with opened(page_of(hostile)) as driver:
        assert drawn(driver) == ask(driver, "document.querySelectorAll('[data-chart]').length") > 15
        selenium.ActionChains(driver).move_to_element(
            driver.find_element("css selector", "#layer-synops .mark-rect path")
        ).perform()
        driver.execute_async_script("setTimeout(arguments[0], 60)")
        assert ask(driver, "window.hacked === undefined")
        assert driver.find_element("tag name", "h1").text == END
        assert rows(driver, "Layers, at T")[0][0] == ERROR
        axis = ask(driver, "[...document.querySelectorAll('#errors text')].map(e => e.textContent)")
        assert any(words.startswith("<img") for words in axis)


def test_several_reports_stand_side_by_side(opened: Opener, converted: Converted) -> None:
    first = converted.report
    curves = {
        key: first.evaluation[key][:3] for key in ("accuracy", "agreement", "spikes", "synops", "macs", "latency")
    }
    second = replace(first, name="t", evaluation=first.evaluation | curves, diagnosis=None, early_exit=None, cost=None)
    with opened(page_of([first, second])) as driver:
        assert drawn(driver) == 4
        table = {row[0]: row[1:] for row in rows(driver, "Side by side")}
        one, two = first.evaluation, second.evaluation
        assert table["timesteps"] == ["5", "3"]
        assert table["accuracy"] == [f"{100 * r['accuracy'][-1]:.2f} %" for r in (one, two)]
        assert table["SynOps"] == [f"{r['synops'][-1]:,.0f}" for r in (one, two)]
        assert table["weakest layer"][1] == "–" != table["weakest layer"][0]
        assert told(driver, "accuracy", 2) == {
            "timesteps": "2",
            "small net": f"{100 * one['accuracy'][1]:.2f} %",
            "t": f"{100 * two['accuracy'][1]:.2f} %",
        }
        assert told(driver, "accuracy", 4)["t"] == "–"
        assert ask(driver, "[...document.querySelectorAll('#part-verdicts h3')].map(e => e.textContent)") == [
            "small net",
            "t",
        ]


@pytest.mark.parametrize("name", ["mnist_cnn"])
def test_the_reports_of_reference_networks(name: str, opened: Opener) -> None:
    """Drawn, pointed at, narrow and wide, light and dark; the images are those that the package has."""
    ann, calibration = respike.models.load(name), datasets.calibration()[:48]
    images, labels = datasets.load("mnist").tensors
    snn = respike.from_torch(ann, calibration, timesteps=4, correction="bias")
    report = gather(snn, (images[:40], labels[:40]), ann, name=name, calibration=calibration)
    text = page_of(report)
    assert len(text.encode()) < 6_000_000
    with opened(text) as driver:
        for width, scheme in ((390, "light"), (1280, "dark")):
            resize(driver, width, 844, mobile=width < 500)
            prefer(driver, color_scheme=scheme, reduced_motion="no-preference")
            driver.refresh()
            assert drawn(driver) == len(charts(report)) > 10
            assert ask(driver, "[document.documentElement.scrollWidth, innerWidth]") == [width, width]
        assert told(driver, "accuracy", 3)["SNN"] == f"{100 * report.evaluation['accuracy'][2]:.2f} %"
