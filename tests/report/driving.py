"""How tests talk to the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CONTRAST = """
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => {
    const colour = getComputedStyle(e).backgroundColor;
    return channels(colour)[3] === 0 ? behind(e.parentElement) : colour;
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const words = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!words || !e.checkVisibility({ opacityProperty: true })) continue;
    const { color, fill } = getComputedStyle(e);
    const [a, b] = [light(e instanceof SVGElement ? fill : color), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push([e.outerHTML.slice(0, 80), (a + 0.05) / (b + 0.05)]);
  }
  return JSON.stringify(poor);"""
"""Words whose colour is too near to what is behind them (below 4.5 : 1), and their contrast."""


def ask(page: Chrome, code: str, *args: Any) -> Any:
    """The value of an expression in the page; what has no place in JSON is left out."""
    return json.loads(page.execute_script(f"return JSON.stringify({code})", *args))


def picture(page: Chrome, part: str) -> str:
    """What the chart of a part shows."""
    return ask(page, f"document.querySelector('#{part} .picture').innerHTML")


def press(page: Chrome, *keys: str) -> None:
    """Keys for whatever has the focus."""
    from selenium.webdriver import ActionChains

    ActionChains(page, duration=0).send_keys(*keys).perform()
