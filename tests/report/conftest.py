"""A browser with a page in it, and a small network that there is a report of."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.report import Report, gather
from respike.report.playground import playground_page

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

Opener = Callable[[str], AbstractContextManager["Chrome"]]


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
def opened(browser: Chrome, tmp_path: Path) -> Opener:
    """Opens a page as a user does; afterwards, that it said nothing and asked for nothing."""
    from plot_playground import prefer, resize

    @contextmanager
    def open_page(text: str) -> Iterator[Chrome]:
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        resize(browser, 1100)
        prefer(browser, color_scheme="light", reduced_motion="no-preference")
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # what a test that failed has left
        browser.get(file.as_uri())
        yield browser
        assert browser.get_log("browser") == []
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        asked = [e["request"]["url"] for e in asked if not e["documentURL"].startswith("chrome")]  # the first empty tab
        assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
        resources = "return performance.getEntriesByType('resource').map(e => e.name)"
        assert [name for name in browser.execute_script(resources) if not name.startswith("data:")] == []

    return open_page


@pytest.fixture
def page(opened: Opener) -> Iterator[Chrome]:
    """The playground."""
    with opened(playground_page()) as driver:
        yield driver


@dataclass(frozen=True)
class Converted:
    """A network, what it came from, and data."""

    snn: respike.SpikingNetwork
    ann: nn.Module
    images: Tensor
    labels: Tensor
    report: Report

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        return self.images, self.labels


def convnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4)
    )


@pytest.fixture(scope="session")
def converted() -> Converted:
    """A network with random weights at few timesteps, so that it errs, and everything that is known of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        ann = convnet().eval()
        images = torch.rand(48, 1, 12, 12)
        with torch.no_grad():
            scores = ann(images)
            ann[-1].bias -= scores.mean(0)  # so that all classes are chosen
            labels = ann(images).argmax(1)
        labels[::6] = (labels[::6] + 1) % 4
    snn = respike.from_torch(ann, images[:32], timesteps=5)
    options: dict[str, Any] = {"name": "small net", "calibration": images[:32], "command": "respike report small.onnx"}
    names = ["square", "ring", "bar", "dot"]
    report = gather(snn, (images, labels), ann, classes=names, sample=7, **options)
    return Converted(snn, ann, images, labels, report)
