"""Write the screenshots of a report that the documentation shows, with Chromium and its chromedriver.

python scripts/plot_report.py -o docs/figures
python scripts/plot_report.py --model fashion_resnet --data-dir data -T 16 -o docs/figures
"""

from __future__ import annotations

import argparse
import base64
import tempfile
from pathlib import Path
from typing import Any

from plot_playground import chromium, missing, prefer, resize
from selenium import webdriver

import respike
from respike.files import written_whole
from respike.report import Report, gather, write_page
from respike.sources import find_calibration, find_test_data, own_data

PARTS = {"top": "header", "layers": "#part-layers", "sample": "#part-sample", "decisions": "#part-decisions"}
SHARE = {"layers": 1500, "sample": 1400}
"""Pixels of a part that are shown, where it is long."""
DRAWN = """
  const [done] = arguments;
  const wait = () => {
    const { drawn } = document.documentElement.dataset;
    if (drawn) done(Number(drawn)); else setTimeout(wait, 30);
  };
  wait();"""


def report(options: argparse.Namespace) -> Report:
    """Convert a reference network and find out everything about it."""
    name = own_data(options.model) or ""
    ann = respike.models.load(options.model)
    calibration = find_calibration(name, options.data_dir)
    data: Any = find_test_data(name, options.data_dir)
    images, labels = (x[: options.samples] for x in data.tensors)
    snn = respike.from_torch(ann, calibration, timesteps=options.timesteps)
    command = f"respike report {options.model} -T {options.timesteps} -o report.html"
    return gather(snn, (images, labels), ann, name=options.model, calibration=calibration, command=command)


def drawn(driver: webdriver.Chrome) -> int:
    """How many charts the page has, once all are drawn."""
    return int(driver.execute_async_script(DRAWN))


def shoot(driver: webdriver.Chrome, selector: str, file: Path, highest: int | None = None) -> None:
    """A picture of one element."""
    box = driver.execute_script(
        "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return [r.left + scrollX, r.top + scrollY, r.width, r.height]",
        selector,
    )
    margin = min(24, box[0])
    width, height = box[2] + 2 * margin, min(box[3], highest or box[3]) + margin
    clip = {"x": box[0] - margin, "y": box[1], "width": width, "height": height, "scale": 1}
    found = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    with written_whole(file) as temporary:
        temporary.write_bytes(base64.b64decode(found["data"]))
    print(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/figures"), help="folder for the pictures")
    parser.add_argument("--model", default="mnist_cnn", help="a reference network")
    parser.add_argument("-T", "--timesteps", type=int, default=4)
    parser.add_argument("--samples", type=int, default=2000, help="test samples")
    parser.add_argument("--data-dir", type=Path, help="directory of torchvision's data sets")
    options = parser.parse_args()
    absent = missing()
    if absent:
        parser.error(absent)
    with tempfile.TemporaryDirectory() as place, chromium() as driver:
        page = Path(place, "report.html")
        write_page(report(options), page)
        for scheme, width, parts in (
            ("light", 1200, PARTS),
            ("dark", 1200, {"dark": "#part-layers"}),
            ("light", 390, {"narrow": "body"}),
        ):
            resize(driver, width, mobile=width < 500)
            prefer(driver, color_scheme=scheme)
            driver.get(page.as_uri())
            drawn(driver)
            for part, selector in parts.items():
                highest = {"dark": 900, "narrow": 1600}.get(part, SHARE.get(part))
                shoot(driver, selector, options.output / f"report-{options.model}-{part}.png", highest)


if __name__ == "__main__":
    main()
