"""How pages look: one style, whose colours charts know by name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Scheme = Literal["light", "dark"]


@cache
def base_style() -> str:
    """The style sheet that all pages begin with."""
    return files(__package__).joinpath("base.css").read_text(encoding="utf-8")


@cache
def colours(scheme: Scheme) -> dict[str, str]:
    """The colours of the style sheet by name, ``"n0"`` to ``"n4"`` for what is compared."""
    light, dark = base_style().split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found if scheme == "light" else found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))


def coloured(spec: Any, scheme: Scheme) -> Any:
    """A chart's specification with colours instead of their names, ``var(--ink)``: for what has no style sheet."""
    if isinstance(spec, dict):
        return {key: coloured(value, scheme) for key, value in spec.items()}
    if isinstance(spec, list):
        return [coloured(value, scheme) for value in spec]
    name = re.fullmatch(r"var\(--([\w-]+)\)", spec) if isinstance(spec, str) else None
    return colours(scheme).get(name[1], spec) if name else spec
