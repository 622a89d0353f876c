"""Write the screenshots of the playground that docs/neurons.md shows, with Chromium and its chromedriver.

python scripts/plot_playground.py -o docs/figures
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from respike.report.playground import playground_page

FLAGS = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync hide-scrollbars"
).split()

# What makes each part worth looking at: water that was added a while ago, a choice of settings.
SCENES = {
    "bucket": [
        "document.getElementById('bucket-three').click(); const add = document.getElementById('bucket-add');"
        "for (const at of [0, 900, 1800, 2700, 3600, 4500, 5400]) setTimeout(() => add.click(), at)",
        "document.getElementById('bucket-pause').click()",
    ],
    "bench": [],
    "curve": [],
}


def browser() -> str | None:
    """Where Chromium is, under one of its names."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing() -> str | None:
    """What it takes to drive a browser and is not there."""
    wanted = {"chromium": browser(), "chromedriver": shutil.which("chromedriver")}
    absent = [name for name, path in wanted.items() if path is None]
    return f"no {' and no '.join(absent)} on the PATH" if absent else None


@contextmanager
def chromium(log: Sequence[str] = ()) -> Iterator[webdriver.Chrome]:
    """A browser without a window and without a past; ``log`` names the logs to keep, ``browser`` or ``performance``."""
    options = webdriver.ChromeOptions()
    options.binary_location = browser() or ""
    options.set_capability("goog:loggingPrefs", dict.fromkeys(log, "ALL"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"user-data-dir={profile}"):
            options.add_argument(f"--{flag}")
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def resize(driver: webdriver.Chrome, width: int, height: int = 900, mobile: bool = False) -> None:
    """Give the page a window of this size, in CSS pixels."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def prefer(driver: webdriver.Chrome, **features: str) -> None:
    """Set what the user prefers, say ``color_scheme="dark"`` or ``reduced_motion="reduce"``."""
    wanted = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/figures"), help="folder for the pictures")
    folder = parser.parse_args().output
    absent = missing()
    if absent:
        parser.error(absent)
    with tempfile.TemporaryDirectory() as place, chromium() as driver:
        page = Path(place, "playground.html")
        page.write_text(playground_page(), encoding="utf-8")
        resize(driver, 900, 3200)  # higher than the page, so that each part fits
        prefer(driver, color_scheme="light")
        for part, actions in SCENES.items():
            driver.get(page.as_uri())
            for action in actions:
                driver.execute_script(action)
                time.sleep(6)
            time.sleep(1)
            driver.find_element("css selector", f"#{part} .card").screenshot(str(folder / f"playground-{part}.png"))
            print(folder / f"playground-{part}.png")


if __name__ == "__main__":
    main()
