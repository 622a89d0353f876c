"""All charts of a report, and of several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from . import cost, curves, decided, exits, layer, layers, sample
from .chart import COLOURS, Chart, columns, finish, rows

if TYPE_CHECKING:
    from ..contents import Report


def charts(report: Report) -> list[Chart]:
    """In the order in which they are read; what is not known is left out."""
    return [
        *curves.accuracy(report),
        *exits.early_exit(report),
        *cost.energy(report),
        cost.synops(report),
        *layers.layer_charts(report),
        *(chart for _, pair in layer.single_layers(report) for chart in pair),
        *sample.scores(report),
        *sample.raster(report),
        *sample.membranes(report),
        *decided.confusion(report),
    ]


def comparison(reports: Sequence[Report], names: Sequence[str]) -> list[Chart]:
    """Several results in one chart each: accuracy and operations against timesteps, and one against the other.

    Args:
        reports: Of one metric.
        names: What to call them, each once; those whose colours have been used already are dashed.
    """
    first = reports[0].evaluation
    metric, scale = first["metric"], 100 if first["metric"] == "accuracy" else 1
    label = f"{metric} (%)" if scale == 100 else metric
    colours, late = dict(zip(names, cycle(COLOURS), strict=False)), names[len(COLOURS) :]
    results = {name: report.evaluation for name, report in zip(names, reports, strict=True)}
    told = {name: [curves.score(r, v) for v in r["accuracy"]] for name, r in results.items()}
    scaled = {name: [scale * v for v in r["accuracy"]] for name, r in results.items()}
    xlabel = curves.axis_of(reports)
    found = [
        Chart(
            "accuracy",
            "accuracy",
            f"{metric.capitalize()} against timesteps",
            "Point at a timestep for exact values.",
            curves.lines(scaled, told, label, xlabel, colours, late),
        )
    ]
    if scale == 100:
        ends = [v[-1] for v in scaled.values()]
        domain = (min(ends) - 100 * curves.CLOSE, min(100.0, max(map(max, scaled.values())) + 0.5))
        near = curves.lines(scaled, told, label, xlabel, colours, late, domain=domain)
        found.append(
            Chart("accuracy-close", "accuracy", "The same, near the top", "The last few points, enlarged.", near)
        )
    unit, unit_name = curves.unit_of(max(max(r["synops"]) for r in results.values()))
    told = {name: [f"{v:,.0f}" for v in r["synops"]] for name, r in results.items()}
    costs = {name: [v / unit for v in r["synops"]] for name, r in results.items()}
    spec = curves.lines(costs, told, f"{unit_name}SynOps per sample", xlabel, colours, late, zero=True)
    found.append(Chart("synops", "cost", "Synaptic operations against timesteps", "Additions caused by spikes.", spec))
    found.append(_trade(scaled, costs, label, f"{unit_name}SynOps per sample", colours))
    return found


def _trade(
    accuracy: dict[str, list[float]], costs: dict[str, list[float]], ylabel: str, xlabel: str, colours: dict[str, str]
) -> Chart:
    import altair as alt

    data = [
        {"series": name, "t": t, "x": x, "y": y}
        for name in accuracy
        for t, (x, y) in enumerate(zip(costs[name], accuracy[name], strict=True), 1)
    ]
    best = max(max(v) for v in accuracy.values())
    worst = min(min(v) for v in accuracy.values())
    domain = [max(worst, best - 10) if ylabel.endswith("(%)") else worst, best]
    names = list(accuracy)
    scale = alt.Scale(domain=names, range=[colours[n] for n in names])
    legend = (
        alt.Legend(columns=columns(names), symbolType="circle", symbolStrokeWidth=0, symbolOpacity=1)
        if len(names) > 1
        else None
    )
    base = alt.Chart(rows(data)).encode(
        x=alt.X("x:Q", title=xlabel),
        y=alt.Y("y:Q", title=ylabel, scale=alt.Scale(domain=domain, zero=False)),
        color=alt.Color("series:N", scale=scale, sort=names, legend=legend),
        order="t:Q",
    )
    told = [
        alt.Tooltip("series:N", title="Result"),
        alt.Tooltip("t:Q", title="Timesteps"),
        alt.Tooltip("y:Q", title=ylabel, format=".4~g"),
        alt.Tooltip("x:Q", title=xlabel, format=".4~g"),
    ]
    drawn = alt.layer(
        base.mark_line(strokeWidth=1.5, opacity=0.5, clip=True),
        base.mark_point(filled=True, size=50, opacity=1, clip=True).encode(tooltip=told),
    )
    words = "Each point is one number of timesteps, from left to right."
    return Chart(
        "trade-off", "cost", "What the operations buy", words, finish(drawn, 260, f"{ylabel} against {xlabel}")
    )
