"""A browser with the playground in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from respike.report.playground import playground_page

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

sys.path.append(str(Path(__file__).parents[2] / "scripts"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    pytest.importorskip("selenium")
    import plot_playground

    absent = plot_playground.missing()
    if absent:
        pytest.skip(absent)
    with plot_playground.chromium(log=["browser", "performance"]) as driver:
        yield driver


@pytest.fixture
def page(browser: Chrome, tmp_path: Path) -> Iterator[Chrome]:
    """The page as a user opens it; afterwards, that it said nothing and asked for nothing."""
    from plot_playground import prefer, resize

    file = tmp_path / "playground.html"
    file.write_text(playground_page(), encoding="utf-8")
    resize(browser, 1100)
    prefer(browser, color_scheme="light", reduced_motion="no-preference")
    browser.get(file.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    asked = [e["request"]["url"] for e in asked if not e["documentURL"].startswith("chrome")]  # the first empty tab
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
