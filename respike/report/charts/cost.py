"""What the network takes, beside its ANNs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .chart import COLOURS, Chart, columns, finish, rows
from .curves import axis_of, lines, unit_of

if TYPE_CHECKING:
    from ..contents import Report

PARTS = dict(zip(("synapses", "neurons", "sums", "analog", "memory"), COLOURS, strict=True))


def synops(report: Report) -> Chart:
    """Synaptic operations against timesteps, beside what the ANN does."""
    result = report.evaluation
    unit, name = unit_of(max(max(result["synops"]), result["ann_macs"]))
    curves = {"SNN: SynOps (additions)": result["synops"]}
    if any(result["macs"]):
        curves["SNN: MACs on analog values"] = result["macs"]
    curves["ANN: MACs"] = [result["ann_macs"]] * len(result["synops"])
    told = {key: [f"{v:,.0f}" for v in values] for key, values in curves.items()}
    scaled = {key: [v / unit for v in values] for key, values in curves.items()}
    colours = {"ANN: MACs": COLOURS[1], "SNN: MACs on analog values": COLOURS[4]}
    spec = lines(scaled, told, f"{name}per sample", axis_of([report]), colours, ("ANN: MACs",), zero=True)
    words = "A synaptic operation (SynOp) is an addition; a MAC is a multiplication and an addition, which costs more."
    return Chart("synops", "cost", "Operations against timesteps", words, spec, wide=report.cost is not None)


def energy(report: Report) -> list[Chart]:
    """Energy against timesteps beside each baseline, and what it goes into; nothing if it is not known."""
    cost = report.cost
    if cost is None:
        return []
    curves = {"SNN": cost["energy"], **{b["name"]: b["energy"] for b in cost["baselines"]}}
    told = {name: [f"{v / 1e6:.4g} µJ" for v in values] for name, values in curves.items()}
    scaled = {name: [v / 1e6 for v in values] for name, values in curves.items()}
    colours = {name: COLOURS[k] for k, name in enumerate(curves)}
    spec = lines(scaled, told, "µJ per sample", axis_of([report]), colours, list(curves)[1:], zero=True)
    return [
        Chart("energy", "cost", "Energy against timesteps", f"Energy model: {cost['model']['name']}.", spec),
        _parts(report),
    ]


def _parts(report: Report) -> Chart:
    import altair as alt

    cost = report.cost
    assert cost is not None
    parts = {name: curve[-1] / 1e6 for name, curve in cost["parts"].items()}
    total = sum(parts.values())
    ends = [0.0]
    for value in parts.values():
        ends.append(ends[-1] + value)
    data = [
        {"row": "SNN", "part": name, "x": start, "x2": end, "told": f"{end - start:.4g} µJ"}
        for name, (start, end) in zip(parts, pairwise(ends), strict=True)
    ]
    totals = [{"row": "SNN", "x": total, "told": f"{total:.3g} µJ"}]
    for base in cost["baselines"]:
        value = base["energy"][-1] / 1e6
        data.append({"row": base["name"], "part": "ANN", "x": 0.0, "x2": value, "told": f"{value:.4g} µJ"})
        totals.append({"row": base["name"], "x": value, "told": f"{value:.3g} µJ"})
    domain = [*parts, "ANN"]
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=domain, range=[PARTS.get(name, "var(--edge)") for name in domain]),
        legend=alt.Legend(columns=columns(domain), symbolType="square", symbolStrokeWidth=0),
        sort=domain,
    )
    axis = alt.Axis(grid=False, domain=False, ticks=False)
    y = alt.Y("row:N", sort=[t["row"] for t in totals], title=None, axis=axis)
    room = 1.5 * max(t["x"] for t in totals)
    x = alt.X("x:Q", title="µJ per sample", scale=alt.Scale(domain=[0, room], nice=False))
    told = [
        alt.Tooltip("row:N", title="Network"),
        alt.Tooltip("part:N", title="Part"),
        alt.Tooltip("told:N", title="Energy"),
    ]
    bars = alt.Chart(rows(data)).mark_bar(height={"band": 0.65}).encode(y=y, x=x, x2="x2:Q", color=colour, tooltip=told)
    words = alt.Chart(rows(totals)).mark_text(align="left", dx=6, fontSize=11).encode(y=y, x=x, text="told:N")
    steps = len(cost["energy"])
    spoken = "; ".join(f"{t['row']} {t['told']}" for t in totals)
    return Chart(
        "energy-parts",
        "cost",
        f"What the energy goes into, at {steps} timestep{'s' if steps > 1 else ''}",
        "Synapses: synaptic operations. Neurons: updates and resets. Sums: spikes added without a synapse. Analog: "
        "values that are no spikes, as the first layer's input.",
        finish(alt.layer(bars, words), 34 * len(totals), spoken),
    )
