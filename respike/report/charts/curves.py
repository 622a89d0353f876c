"""Curves over timesteps: accuracy, agreement, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .chart import COLOURS, DIAMOND, Chart, finish, hover, palette, rows, steps_axis

if TYPE_CHECKING:
    from ..contents import Report

CLOSE = 0.03
"""Of accuracy: what the close-up shows below the ANN's, or the last value."""
AGREEMENT = "agreement with the ANN"


def score(result: Mapping[str, Any], value: float) -> str:
    """A value of the metric in words."""
    return f"{100 * value:.2f} %" if result["metric"] == "accuracy" else f"{value:.4g}"


def axis_of(reports: Sequence[Report]) -> str:
    """What timesteps are called."""
    return "timesteps" if all(r.evaluation["schedule"] == "synchronous" for r in reports) else "timesteps per layer"


def accuracy(report: Report) -> list[Chart]:
    """Accuracy against timesteps, from afar and near."""
    result = report.evaluation
    metric, scale = result["metric"], 100 if result["metric"] == "accuracy" else 1
    curves: dict[str, Sequence[float]] = {"SNN": result["accuracy"]}
    if result["agreement"] is not None:
        curves[AGREEMENT] = result["agreement"]
    if result["ann_accuracy"] is not None:
        curves["ANN"] = [result["ann_accuracy"]] * len(result["accuracy"])
    early = report.early_exit
    mark = (
        None if early is None or metric != "accuracy" else {"t": early["latency"], "value": scale * early["accuracy"]}
    )
    told = {name: [score(result, v) for v in values] for name, values in curves.items()}
    scaled = {name: [scale * v for v in values] for name, values in curves.items()}
    label = f"{metric} (%)" if scale == 100 else metric
    colours = {"SNN": COLOURS[0], AGREEMENT: COLOURS[2], "ANN": COLOURS[1]}
    words = "The dashed line is the ANN. Point at a timestep for exact values."
    if mark is not None:
        words += " The diamond is early exit: mean timesteps and accuracy when samples stop as soon as they are sure."
    found = [
        Chart(
            "accuracy",
            "accuracy",
            f"{metric.capitalize()} against timesteps",
            words,
            lines(scaled, told, label, axis_of([report]), colours, ("ANN",), mark, dotted=(AGREEMENT,)),
        )
    ]
    if scale == 100 and len(result["accuracy"]) > 1:
        top = max(result["ann_accuracy"] or 0, result["accuracy"][-1], (result["agreement"] or [0])[-1])
        bottom = 100 * (min(result["ann_accuracy"] or 1, result["accuracy"][-1]) - CLOSE)
        domain = (bottom, min(100.0, 100 * top + 0.5))
        close = lines(scaled, told, label, axis_of([report]), colours, ("ANN",), mark, domain, dotted=(AGREEMENT,))
        found.append(
            Chart("accuracy-close", "accuracy", "The same, near the top", "The last few points, enlarged.", close)
        )
    return found


def unit_of(largest: float) -> tuple[float, str]:
    """What to divide by, and its name with a space behind."""
    return next(
        ((u, n) for u, n in ((1e9, "billion "), (1e6, "million "), (1e3, "thousand ")) if largest >= u), (1.0, "")
    )


def lines(
    curves: Mapping[str, Sequence[float]],
    told: Mapping[str, Sequence[str]],
    ylabel: str,
    xlabel: str,
    colours: Mapping[str, str],
    dashed: Sequence[str] = (),
    mark: Mapping[str, float] | None = None,
    domain: tuple[float, float] | None = None,
    zero: bool = False,
    dotted: Sequence[str] = (),
) -> dict[str, Any]:
    """Curves that begin at timestep 1, and exact values where one points.

    Args:
        curves: By name.
        told: The same in words; curves may differ in length.
        ylabel: What and in which unit.
        xlabel: What timesteps are called.
        colours: Of some of the curves.
        dashed: Those that are dashed and without points.
        mark: A point ``t``, ``value`` that is drawn as a diamond.
        domain: Of the values; what is beyond is cut off.
        zero: Whether the axis begins at 0.
        dotted: Curves that are dotted, so that what lies below shows.
    """
    import altair as alt

    last = max(len(values) for values in curves.values())
    data = rows({"series": n, "t": t, "value": v} for n, values in curves.items() for t, v in enumerate(values, 1))
    colour, dash = palette(list(curves), colours, dashed, dotted)
    scale = alt.Scale(zero=zero) if domain is None else alt.Scale(domain=list(domain), nice=False, zero=False)
    base = alt.Chart(data).encode(
        x=steps_axis(last, xlabel), y=alt.Y("value:Q", title=ylabel, scale=scale), color=colour
    )
    own = base.transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=[n for n in curves if n not in dashed]))
    drawn = [
        base.mark_line(strokeWidth=2, clip=True).encode(strokeDash=dash),
        own.mark_point(filled=True, size=26 if last <= 32 else 10, opacity=1, clip=True),
    ]
    if mark is not None:
        point = alt.Chart(rows([mark])).encode(x="t:Q", y="value:Q")
        drawn.append(point.mark_point(**DIAMOND))
    description = f"{ylabel} against {xlabel}: " + "; ".join(f"{n} ends at {words[-1]}" for n, words in told.items())
    return finish(alt.layer(*drawn, hover(told)), 260, description)
