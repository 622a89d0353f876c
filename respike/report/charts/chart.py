"""What all charts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

COLOURS = tuple(f"var(--n{k})" for k in range(5))
"""Of what is compared, by their names in ``base.css``."""
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--grid)",
        "domainColor": "var(--edge)",
        "tickColor": "var(--edge)",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelLimit": 160,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "labelLimit": 260,
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "symbolStrokeWidth": 2,
        "columnPadding": 14,
    },
    "text": {"color": "var(--ink)", "font": "system-ui, sans-serif"},
}

DIAMOND: dict[str, Any] = {
    "shape": "diamond",
    "size": 130,
    "filled": True,
    "color": "var(--ink)",
    "opacity": 1,
    "clip": True,
}
"""The mark of a chosen point."""
NARROW = 290
"""Pixels that words have on a telephone."""


@dataclass(frozen=True)
class Chart:
    """A chart and the words that stand with it.

    Attributes:
        key: Its name in pages and files.
        part: Of the page: ``accuracy``, ``exit``, ``cost``, ``layers``, ``layer``, ``sample``, ``membrane``,
            ``decisions``.
        title: What it shows, in a few words.
        caption: How to read it.
        spec: The Vega-Lite specification, as wide as where it stands.
        wide: Whether it takes the page's whole width.
    """

    key: str
    part: str
    title: str
    caption: str
    spec: Mapping[str, Any]
    wide: bool = False


def finish(chart: Any, height: int, description: str) -> dict[str, Any]:
    """The specification of a chart of this height in pixels."""
    sized = chart.properties(
        width="container", height=height, description=description, autosize={"type": "fit-x", "contains": "padding"}
    )
    spec: dict[str, Any] = sized.configure(**CONFIG).to_dict()
    return spec


def rows(values: Iterable[Mapping[str, Any]]) -> alt.Data:
    """Rows that stand in the specification itself."""
    import altair as alt

    return alt.Data(values=[dict(value) for value in values])


def steps_axis(last: int, title: str, field: str = "t:Q") -> alt.X:
    """Timesteps from 1 to ``last``, whole numbers."""
    import altair as alt

    ticks = [t for t in range(1, last + 1) if t % max(1, -(-last // 16)) == 0 or t == 1]
    axis = alt.Axis(values=ticks, format="d", grid=False, labelOverlap=True)
    return alt.X(field, title=title, axis=axis, scale=alt.Scale(domain=[0.5, last + 0.5], nice=False))


def palette(
    names: Sequence[str], colours: Mapping[str, str], dashed: Sequence[str] = (), dotted: Sequence[str] = ()
) -> tuple[alt.Color, alt.StrokeDash]:
    """Each name's colour, one after the other unless given, and whether it is dashed or dotted."""
    import altair as alt

    domain = list(names)
    colour = [colours.get(name, COLOURS[k % len(COLOURS)]) for k, name in enumerate(domain)]
    dashes = [[5, 4] if name in dashed else [2, 3] if name in dotted else [1, 0] for name in domain]
    legend = alt.Legend(columns=columns(domain), symbolType="stroke")
    return (
        alt.Color("series:N", scale=alt.Scale(domain=domain, range=colour), sort=domain, legend=legend),
        alt.StrokeDash("series:N", scale=alt.Scale(domain=domain, range=dashes), sort=domain, legend=legend),
    )


def columns(names: Sequence[str]) -> int:
    """In how many columns a legend still fits into a narrow chart: those of Vega are as wide as the widest name."""
    return max(1, min(len(names), NARROW // (7 * max(map(len, names)) + 36)))


def hover(told: Mapping[str, Sequence[str]]) -> alt.Chart:
    """A band over each timestep that tells all exact values there.

    Args:
        told: Words for timesteps 1, 2, ... by what they are; where some end earlier, nothing is told of them.
    """
    import altair as alt

    # Names are the user's: in the data they go by number, so that none is taken for a path or an expression.
    data = [
        {"t": t, "from": t - 0.5, "to": t + 0.5, **{f"v{k}": word for k, word in enumerate(words)}}
        for t, words in enumerate(zip_longest(*told.values(), fillvalue="–"), 1)
    ]
    pointed = alt.selection_point(name="pointed", on="pointerover", clear="pointerout", empty=False)
    tooltip = [alt.Tooltip("t:Q", title="timesteps"), *(alt.Tooltip(f"v{k}:N", title=n) for k, n in enumerate(told))]
    bands: alt.Chart = (
        alt.Chart(rows(data))
        .mark_rect(color="var(--ink)", aria=False)
        .encode(
            x=alt.X("from:Q"),
            x2=alt.X2("to:Q"),
            opacity=alt.condition(pointed, alt.value(0.08), alt.value(0)),
            tooltip=tooltip,
        )
        .add_params(pointed)
    )
    return bands
