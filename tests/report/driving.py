"""How tests talk to the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


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
