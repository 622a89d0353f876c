"""Charts with a bar or a row for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .chart import COLOURS, Chart, finish, rows
from .curves import unit_of

if TYPE_CHECKING:
    import altair as alt

    from ..contents import Report

STEP = 26
"""Pixels of a layer."""
CAUSES = {
    "propagated": COLOURS[4],
    "correction": COLOURS[3],
    "clipping": COLOURS[1],
    "quantisation": COLOURS[0],
    "unevenness": COLOURS[2],
}


def labels(layers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What to call each layer, by its node: its place in the model, and its node where several share that."""
    places = [layer["where"] for layer in layers]
    return {x["name"]: x["where"] if places.count(x["where"]) == 1 else f"{x['where']} · {x['name']}" for x in layers}


def layer_charts(report: Report) -> list[Chart]:
    """Error by cause, firing rates and synaptic operations of all layers."""
    found = [_synops(report)]
    if report.activations is not None:
        found.insert(0, _rates(report.activations))
    if report.diagnosis is not None:
        found.insert(0, _errors(report.diagnosis))
    return found


def layer_axis(named: Mapping[str, str]) -> alt.Y:
    """A row for each layer, in the order of the network."""
    import altair as alt

    return alt.Y("layer:N", sort=list(named.values()), title=None, axis=alt.Axis(grid=False, domain=False, ticks=False))


def _errors(diagnosis: Mapping[str, Any]) -> Chart:
    import altair as alt

    named = labels(diagnosis["layers"])
    data, totals = [], []
    for layer in diagnosis["layers"]:
        relative = layer["error"] / layer["scale"] if layer["scale"] else 0.0
        name = named[layer["name"]]
        totals.append({"layer": name, "x": 100 * relative, "told": f"{100 * relative:.1f} %"})
        for cause in CAUSES:
            share = layer["parts"][cause]["share"]
            told = f"{100 * share:.1f} %"
            data.append({"layer": name, "cause": cause, "x": 100 * relative * share, "share": told})
    colour = alt.Color(
        "cause:N",
        scale=alt.Scale(domain=list(CAUSES), range=list(CAUSES.values())),
        # Long names of layers leave it little room.
        legend=alt.Legend(columns=1, symbolType="square", symbolStrokeWidth=0),
        sort=list(CAUSES),
    )
    bars = (
        alt.Chart(rows(data))
        .mark_bar(height={"band": 0.7})
        .transform_calculate(order=f"indexof({list(CAUSES)}, datum.cause)")
        .encode(
            y=layer_axis(named),
            x=alt.X("x:Q", title="error (% of the ANN's RMS)", stack="zero"),
            color=colour,
            order="order:Q",
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("cause:N", title="Cause"),
                alt.Tooltip("share:N", title="Share of the squared error"),
            ],
        )
    )
    ticks = (
        alt.Chart(rows(totals))
        .mark_tick(color="var(--ink)", thickness=2, height={"band": 0.9})
        .encode(
            y=layer_axis(named),
            x="x:Q",
            tooltip=[alt.Tooltip("layer:N", title="Layer"), alt.Tooltip("told:N", title="Error")],
        )
    )
    spoken = "; ".join(f"{t['layer']}: {t['told']}" for t in totals)
    return Chart(
        "errors",
        "layers",
        "Error of each layer, by cause",
        "Root mean square (RMS) of each layer's decoded output minus the ANN's (the tick), divided by the causes' "
        "shares of the squared error. What reaches to the left of zero makes up for others. Propagated: what the "
        "layers before got wrong.",
        finish(alt.layer(bars, ticks), STEP * len(named), f"Error of each layer. {spoken}"),
        wide=True,
    )


def _rates(activations: Mapping[str, Any]) -> Chart:
    import altair as alt

    named = labels(activations["layers"])
    data = []
    for layer in activations["layers"]:
        counts: dict[int, int] = {}
        for _, row, count in layer["rates"]["cells"]:
            counts[row] = counts.get(row, 0) + count
        level, total = layer["rates"]["level"], sum(counts.values())
        for row, count in sorted(counts.items()):
            share = count / total
            data.append(
                {
                    "layer": named[layer["name"]],
                    "from": level * (row - 0.5),
                    "to": level * (row + 0.5),
                    "rate": f"{level * row:.3g}",
                    "share": share,
                    "told": f"{100 * share:.2f} %",
                }
            )
    cells = (
        alt.Chart(rows(data))
        .mark_rect(color=COLOURS[0], height={"band": 0.8})
        .encode(
            y=layer_axis(named),
            x=alt.X(
                "from:Q",
                title="firing rate",
                axis=alt.Axis(grid=False, values=[-1, -0.5, 0, 0.25, 0.5, 0.75, 1], format=".2~f"),
                scale=alt.Scale(domain=[min(d["from"] for d in data), max(d["to"] for d in data)], nice=False),
            ),
            x2="to:Q",
            opacity=alt.Opacity("share:Q", scale=alt.Scale(type="sqrt", domain=[0, 1], range=[0.03, 1]), legend=None),
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("rate:N", title="Rate"),
                alt.Tooltip("told:N", title="Share of outputs"),
            ],
        )
    )
    return Chart(
        "rates",
        "layers",
        "Firing rates of each layer",
        "The stronger the colour, the more outputs have that rate over all timesteps. At 1 a neuron "
        "fires as often as it can: it is saturated.",
        finish(cells, STEP * len(named), "Distribution of firing rates of each layer"),
    )


def _synops(report: Report) -> Chart:
    import altair as alt

    layers = [layer for layer in report.evaluation["layers"] if layer["synops"][-1]]
    named = labels(layers)
    unit, name = unit_of(max([layer["synops"][-1] for layer in layers], default=0))
    data = [{"layer": named[x["name"]], "x": x["synops"][-1] / unit, "told": f"{x['synops'][-1]:,.0f}"} for x in layers]
    told = [alt.Tooltip("layer:N", title="Layer"), alt.Tooltip("told:N", title="SynOps per sample")]
    bars = (
        alt.Chart(rows(data))
        .mark_bar(color=COLOURS[0], height={"band": 0.7})
        .encode(
            y=layer_axis(named),
            x=alt.X("x:Q", title=f"{name}SynOps per sample", axis=alt.Axis(tickCount=6)),
            tooltip=told,
        )
    )
    return Chart(
        "layer-synops",
        "layers",
        "Synaptic operations of each layer",
        "Caused by its spikes in the layers behind it, over all timesteps; of a layer whose "
        "spikes a max-pool takes, by the max-pool's.",
        finish(
            bars, STEP * len(named), "Synaptic operations: " + "; ".join(f"{d['layer']}: {d['told']}" for d in data)
        ),
    )
