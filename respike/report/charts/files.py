"""Charts as picture files, drawn without a browser."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import InputError
from ...files import written_whole
from ..theme import Scheme, coloured, colours
from .all import charts

if TYPE_CHECKING:
    from ..contents import Report

WIDTH, WIDE = 460, 860
"""Pixels of a chart."""


def write_charts(
    report: Report,
    folder: str | PathLike[str],
    format: Literal["svg", "png"] = "svg",  # noqa: A002 (as matplotlib calls it)
    *,
    scheme: Scheme = "light",
) -> list[Path]:
    """Write every chart of a report's page as a file of its own, named as on the page.

    Args:
        report: The report.
        folder: Made if it is not there; its own folder must be.
        format: ``"svg"``, or ``"png"`` at twice the size.
        scheme: Colours for light or for dark paper.

    Returns:
        The files written.

    Raises:
        ValueError: another format or scheme.
        ModuleNotFoundError: without Altair and vl-convert (``pip install 'respike[report]'``).
    """
    if format not in ("svg", "png"):
        raise InputError(f"charts are written as svg or png, not as {format!r}")
    if scheme not in ("light", "dark"):
        raise InputError(f"scheme must be 'light' or 'dark', got {scheme!r}")
    place = Path(folder)
    place.mkdir(exist_ok=True)
    found = []
    for chart in charts(report):
        found.append(place / f"{chart.key}.{format}")
        with written_whole(found[-1]) as temporary:
            temporary.write_bytes(drawn(dict(chart.spec), WIDE if chart.wide else WIDTH, format, scheme))
    return found


def drawn(spec: dict[str, Any], width: int, format: Literal["svg", "png"], scheme: Scheme) -> bytes:  # noqa: A002
    """One chart as the bytes of a file."""
    import vl_convert

    still = coloured(spec | {"width": width}, scheme)
    still["config"]["background"] = colours(scheme)["card"]
    still["padding"] = 12
    text = json.dumps(still)
    if format == "png":
        return bytes(vl_convert.vegalite_to_png(text, scale=2))
    return str(vl_convert.vegalite_to_svg(text)).encode()
