"""Charts of one layer: the ANN's activations, and the rates that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .chart import COLOURS, Chart, finish, palette, rows
from .layers import labels

if TYPE_CHECKING:
    from ..contents import Report

MOST = 24
"""Layers that are drawn one by one; of more, those with the largest errors."""
HEIGHT = 190


def single_layers(report: Report) -> list[tuple[str, list[Chart]]]:
    """For each layer what to call it and its two charts, in the order of the network."""
    if report.activations is None:
        return []
    layers = report.activations["layers"]
    named = labels(layers)
    errors = {x["name"]: x["error"] / (x["scale"] or 1) for x in (report.diagnosis or {"layers": ()})["layers"]}
    worst = sorted((x["name"] for x in layers), key=lambda name: -errors.get(name, 0.0))[:MOST]
    return [
        (named[x["name"]], [_paired(x, number, named[x["name"]]), _values(x, number, named[x["name"]])])
        for number, x in enumerate(layers, 1)
        if x["name"] in worst
    ]


def _paired(layer: Mapping[str, Any], number: int, name: str) -> Chart:
    import altair as alt

    step, level, cells = (layer["rates"][key] for key in ("step", "level", "cells"))
    total = sum(count for *_, count in cells)
    data = [
        {
            "x": x * step,
            "x2": (x + 1) * step,
            "y": (y - 0.5) * level,
            "y2": (y + 0.5) * level,
            "share": count / total,
            "activation": f"{x * step:.3g} to {(x + 1) * step:.3g}",
            "rate": f"{y * level:.3g}",
            "told": f"{100 * count / total:.3f} %",
        }
        for x, y, count in cells
    ]
    end = step * max(40, *(x + 1 for x, *_ in cells))
    least = min(d["share"] for d in data)
    heat = (
        alt.Chart(rows(data))
        .mark_rect(color=COLOURS[0], aria=False)
        .encode(
            x=alt.X(
                "x:Q",
                title="ANN activation (share of the highest output)",
                scale=alt.Scale(domain=[0, end], nice=False),
            ),
            x2="x2:Q",
            y=alt.Y("y:Q", title="firing rate", axis=alt.Axis(tickCount=5)),
            y2="y2:Q",
            opacity=alt.Opacity(
                "share:Q", scale=alt.Scale(type="log", domain=[least, 1.0], range=[0.12, 1]), legend=None
            ),
            tooltip=[
                alt.Tooltip("activation:N", title="ANN activation"),
                alt.Tooltip("rate:N", title="Firing rate"),
                alt.Tooltip("told:N", title="Share of outputs"),
            ],
        )
    )
    ideal = alt.Chart(rows([{"x": x, "y": min(x, 1.0)} for x in (0.0, 1.0, end)]))
    line = ideal.mark_line(color=COLOURS[1], strokeWidth=1.5, strokeDash=[5, 4], interpolate="linear")
    return Chart(
        f"layer-{number}-rates",
        "layer",
        "ANN activation and firing rate",
        "",
        finish(alt.layer(heat, line.encode(x="x:Q", y="y:Q")), HEIGHT, f"{name}: ANN activation against firing rate"),
    )


def _values(layer: Mapping[str, Any], number: int, name: str) -> Chart:
    import altair as alt

    step = layer["values"]["step"]
    zeros = layer["zeros"]
    total = sum(layer["values"]["ann"]) / max(1 - zeros, 1e-12) or 1
    series = {"ANN": layer["values"]["ann"], "SNN": layer["values"]["snn"]}
    data = [
        {"series": kind, "x": (k + end) * step, "y": 100 * counts[k] / total}
        for kind, counts in series.items()
        for k in range(len(counts))
        for end in (0, 1)
    ]
    hovered = [
        {
            "x": k * step,
            "x2": (k + 1) * step,
            "value": f"{k * step:.3g} to {(k + 1) * step:.3g}",
            **{kind: f"{100 * counts[k] / total:.2f} %" for kind, counts in series.items()},
        }
        for k in range(len(series["ANN"]))
    ]
    colour, _ = palette(list(series), {"ANN": COLOURS[1], "SNN": COLOURS[0]})
    x = alt.X("x:Q", title="output (units of the ANN)", scale=alt.Scale(domain=[0, step * len(hovered)], nice=False))
    lines = (
        alt.Chart(rows(data))
        .mark_line(strokeWidth=1.6, interpolate="linear")
        .encode(x=x, y=alt.Y("y:Q", title="share of outputs (%)"), color=colour)
    )
    low, mean, high = layer["thresholds"]
    ends = alt.Chart(rows([{"x": low, "x2": high}])).mark_rect(color="var(--ink)", opacity=0.09, aria=False)
    rule = alt.Chart(rows([{"x": mean}])).mark_rule(color="var(--ink)", strokeDash=[2, 3], strokeWidth=1.5)
    told = [
        alt.Tooltip("value:N", title="Output"),
        alt.Tooltip("ANN:N", title="ANN"),
        alt.Tooltip("SNN:N", title="SNN"),
    ]
    pointed = alt.Chart(rows(hovered)).mark_rect(opacity=0, aria=False).encode(x="x:Q", x2="x2:Q", tooltip=told)
    return Chart(
        f"layer-{number}-values",
        "layer",
        "Outputs above zero, and the thresholds",
        f"{100 * zeros:.1f} % of the ANN's are zero.",
        finish(
            alt.layer(ends.encode(x="x:Q", x2="x2:Q"), lines, rule.encode(x="x:Q"), pointed),
            HEIGHT,
            f"{name}: distribution of outputs of ANN and SNN; highest output of a channel from {low:.3g} to "
            f"{high:.3g}, {mean:.3g} on average",
        ),
    )
