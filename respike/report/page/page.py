"""Put the page together from the files beside this one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from os import PathLike
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...files import written_whole
from ..charts import Chart, charts, comparison
from ..charts.chart import COLOURS
from ..charts.layer import single_layers
from ..theme import base_style
from . import tables, verdict, words

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..contents import Report

PARTS = "accuracy exit cost layers sample membrane decisions".split()
MOST = 2 * len(COLOURS)
"""Results that can be told apart in one chart."""


def write_page(reports: Report | Sequence[Report], path: str | PathLike[str]) -> None:
    """Write the page of one report, or a page that compares several: one HTML file that needs no network.

    Args:
        reports: One, or up to 10 of the same metric.
        path: Where to.

    Raises:
        ValueError: no report, too many, or some of another metric.
        FileNotFoundError: the folder does not exist.
        ModuleNotFoundError: without Altair and vl-convert (``pip install 'respike[report]'``).
    """
    with written_whole(path) as temporary:
        temporary.write_text(page(reports), encoding="utf-8")


def page(reports: Report | Sequence[Report]) -> str:
    """The text of ``write_page``'s file.

    ``#reports`` in it holds the reports as JSON, ``#charts`` the charts' specifications. When all are drawn,
    ``data-drawn`` of the root element says how many.
    """
    several = list(reports) if isinstance(reports, Sequence) else [reports]
    if not several:
        raise InputError("there is no report to make a page of")
    if len(several) == 1:
        found = charts(several[0])
        told = _single(several[0], found)
        return _filled("report.html", several, found, told)
    if len(several) > MOST:
        raise InputError(f"a page compares at most {MOST} reports, got {len(several)}; leave some out")
    metrics = list(dict.fromkeys(report.evaluation["metric"] for report in several))
    if len(metrics) > 1:
        raise InputError(f"reports of different metrics cannot be compared: {', '.join(metrics)}")
    names = told_apart(several)
    found = comparison(several, names)
    told = {
        "names": names,
        "reports": several,
        "table_of": tables.side_by_side(several, names),
        "title": " · ".join(names),
    }
    return _filled("comparison.html", several, found, told)


def told_apart(reports: Sequence[Report]) -> list[str]:
    """A name for each report: its own, with T, or a number, behind it where several have the same."""
    names = [report.name for report in reports]
    for more in (lambda k: f", T = {len(reports[k].evaluation['accuracy'])}", lambda k: f" ({k + 1})"):
        names = [n if names.count(n) == 1 else f"{n}{more(k)}" for k, n in enumerate(names)]
    return names


def _single(report: Report, found: Sequence[Chart]) -> dict[str, Any]:
    known = {chart.key: chart for chart in found}
    layers = [(name, [known[chart.key] for chart in pair]) for name, pair in single_layers(report)]
    network = report.network or {}
    settings = {key: value for key, value in network.items() if not isinstance(value, (list, dict))}
    settings.pop("format", None)
    moving, encodings = network.get("moving") or [], network.get("encodings") or {}
    settings["a frame for each timestep"] = ", ".join(moving) or None
    settings["encoded"] = ", ".join(f"{name} by {how['encoder']}" for name, how in encodings.items()) or None
    return {
        "report": report,
        "title": report.name,
        "verdict": verdict.verdict(report),
        "figures": verdict.figures(report),
        "timesteps": tables.timesteps(report, every=False),
        "every_timestep": tables.timesteps(report, every=True),
        "baselines": tables.baselines(report),
        "layers": tables.layers(report),
        "elsewhere": tables.elsewhere(report),
        "populations": tables.populations(report),
        "errors": tables.errors(report),
        "single_layers": layers,
        "confused": tables.confused(report),
        "moves": bool(moving),
        "settings": {key: value for key, value in settings.items() if value is not None},
    }


def _filled(template: str, reports: Sequence[Report], found: Sequence[Chart], told: dict[str, Any]) -> str:
    parts = {part: [chart for chart in found if chart.part == part] for part in PARTS}
    return (
        _environment()
        .get_template(template)
        .render(
            **told,
            parts=parts,
            specs=_embedded({chart.key: chart.spec for chart in found}),
            data=_embedded([report.as_dict() for report in reports]),
            style=f"{base_style()}\n{_text('page.css')}",
            library=_vega(),
            script=_text("page.js"),
        )
    )


def _embedded(value: Any) -> str:
    """JSON that can stand in a script element whatever is in it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed, as one script that defines ``vegaEmbed``."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        autoescape=True, loader=FunctionLoader(_text), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals |= {"percent": words.percent, "verdict_of": verdict.verdict}
    return made


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
