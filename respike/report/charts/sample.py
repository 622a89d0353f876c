"""The charts of one sample's run through the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chart import COLOURS, NARROW, Chart, finish, hover, rows, steps_axis
from .layers import labels

if TYPE_CHECKING:
    from ..contents import Report

MOST = 24
"""Layers whose membrane potential is drawn."""
ROW = 5
"""Pixels of a neuron in the raster."""
HEAD = 3
"""Rows above a layer for its name."""


def scores(report: Report) -> list[Chart]:
    """The class scores of the sample against timesteps."""
    from .curves import lines

    run = report.sample
    if run is None or not run["scores"]:
        return []
    classes = (report.decisions or {}).get("classes")
    names = [str(s["class"] if classes is None else classes[s["class"]]) for s in run["scores"]]
    names = [n if names.count(n) == 1 else f"{s['class']} {n}" for n, s in zip(names, run["scores"], strict=True)]
    curves = {name: s["snn"] for name, s in zip(names, run["scores"], strict=True)}
    told = {name: [f"{v:.4g}" for v in values] for name, values in curves.items()}
    spec = lines(curves, told, "score", "timesteps", dict(zip(names, COLOURS, strict=False)))
    words = f"The {len(names)} classes with the highest scores at the end."
    if run["scores"][0]["ann"] is not None:
        words += (
            " The ANN's: " + ", ".join(f"{n}: {s['ann']:.3g}" for n, s in zip(names, run["scores"], strict=True)) + "."
        )
    return [Chart("sample-scores", "sample", "Class scores against timesteps", words, spec)]


def raster(report: Report) -> list[Chart]:
    """Who fires when, all layers below each other."""
    import altair as alt

    run = report.sample
    if run is None:
        return []
    named = labels(run["layers"])
    strokes: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    y = 0
    for layer in run["layers"]:
        name = named[layer["name"]]
        words = f"{layer['active']:,} of {layer['neurons']:,} neurons of {name}"
        heads.append({"y": y + HEAD / 2, "told": words})
        y += HEAD
        for step, row, spikes in layer["events"]:
            strokes.append(
                {
                    "t": step,
                    "y": y + row + 0.08,
                    "y2": y + row + 0.92,
                    "layer": name,
                    "neuron": layer["shown"][row],
                    "spikes": f"{spikes:g}",
                    "sign": "taken back" if spikes < 0 else "sent",
                }
            )
        y += max(len(layer["shown"]), 1) + 1
    scale = alt.Scale(domain=[y, 0], nice=False)
    last = run["timesteps"]
    told = [alt.Tooltip("layer:N", title="Layer"), alt.Tooltip("neuron:Q", title="Neuron")]
    told += [alt.Tooltip("t:Q", title="Timestep"), alt.Tooltip("spikes:N", title="Spikes")]
    taken = any(s["sign"] == "taken back" for s in strokes)
    colour = alt.Color(
        "sign:N",
        scale=alt.Scale(domain=["sent", "taken back"], range=["var(--ink)", "var(--spike)"]),
        legend=alt.Legend(symbolType="square") if taken else None,
    )
    marks = (
        alt.Chart(rows(strokes))
        .mark_rule(strokeWidth=3, aria=False)
        .encode(
            x=steps_axis(last, "timestep"),
            y=alt.Y("y:Q", scale=scale, axis=None),
            y2="y2:Q",
            color=colour,
            tooltip=told,
        )
    )
    names = (
        alt.Chart(rows(heads))
        .mark_text(align="left", baseline="middle", fontSize=11, color="var(--soft)", limit=NARROW)
        .encode(x=alt.value(0), y=alt.Y("y:Q", scale=scale, axis=None), text="told:N")
    )
    return [
        Chart(
            "raster",
            "sample",
            "Spikes",
            "A stroke for each spike. Above each layer, how many of its neurons fire; shown are some, evenly spaced "
            "among them.",
            finish(alt.layer(marks, names), ROW * y, "Spike raster: " + "; ".join(h["told"] for h in heads)),
        )
    ]


def membranes(report: Report) -> list[Chart]:
    """The membrane potential of one neuron of each layer."""
    run = report.sample
    if run is None:
        return []
    named = labels(run["layers"])
    traced = [(k, layer) for k, layer in enumerate(run["layers"], 1) if layer["trace"] is not None]
    if len(traced) > MOST:
        traced = [traced[round(k * (len(traced) - 1) / (MOST - 1))] for k in range(MOST)]
    return [_membrane(k, layer, named[layer["name"]], run["timesteps"]) for k, layer in traced]


def _membrane(number: int, layer: dict[str, Any], name: str, last: int) -> Chart:
    import altair as alt

    one = layer["trace"]
    spikes, after = one["spikes"], one["potential"]
    # Every neuron here is reset by subtraction: what it had before its spikes is what it has left and the spikes.
    charged = [after[t + 1] + spikes[t] for t in range(last)]
    points = [(0, after[0]), *(point for t in range(last) for point in ((t + 1, charged[t]), (t + 1, after[t + 1])))]
    x = alt.X(
        "t:Q",
        title="timestep",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        scale=alt.Scale(domain=[0, last + 0.5], nice=False),
    )
    y = alt.Y("v:Q", title="V / θ", axis=alt.Axis(tickCount=4))
    line = (
        alt.Chart(rows({"k": k, "t": t, "v": v} for k, (t, v) in enumerate(points)))
        .mark_line(color=COLOURS[0], strokeWidth=1.6, interpolate="linear")
        .encode(x=x, y=y, order="k:Q")
    )
    threshold = (
        alt.Chart(rows([{"v": 1}])).mark_rule(color=COLOURS[1], strokeDash=[5, 4], strokeWidth=1.5).encode(y="v:Q")
    )
    fired = [{"t": t + 1, "v": charged[t]} for t in range(last) if spikes[t]]
    stars = alt.Chart(rows(fired)).mark_point(filled=True, color="var(--spike)", size=34, opacity=1).encode(x=x, y=y)
    told = {
        "current": [f"{value:.3f} θ" for value in one["current"]],
        "potential": [f"{value:.3f} θ" for value in charged],
        "spikes": [f"{value:g}" for value in spikes],
        "after the reset": [f"{value:.3f} θ" for value in after[1:]],
    }
    neuron = layer["shown"][one["row"]]
    count = sum(1 for s in spikes if s)
    spoken = f"{name}, neuron {neuron}: membrane potential, {count} spikes in {last} steps"
    drawn = alt.layer(threshold, line, *([stars] if fired else []), hover(told))
    return Chart(f"membrane-{number}", "membrane", name, f"neuron {neuron:,}", finish(drawn, 130, spoken))
