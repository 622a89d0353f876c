"""Which class was taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chart import COLOURS, Chart, finish, rows

if TYPE_CHECKING:
    from ..contents import Report

MOST = 25
"""Classes that still fit into a matrix."""


def confusion(report: Report) -> list[Chart]:
    """The confusion matrix; nothing if it is not known or would have too many rows."""
    import altair as alt

    decided = report.decisions
    if decided is None or len(decided["classes"]) > MOST:
        return []
    # Numbers in front keep classes of the same name apart.
    names = [
        name if decided["classes"].count(name) == 1 else f"{k} {name}" for k, name in enumerate(decided["classes"])
    ]
    totals = [0] * len(names)
    for label, _, own, _ in decided["confusion"]:
        totals[label] += own
    known = {(label, answer): (own, other) for label, answer, own, other in decided["confusion"]}
    compared = decided["differing"] is not None
    data = []
    for label, row in enumerate(names):
        for answer, column in enumerate(names):
            own, other = known.get((label, answer), (0, 0))
            cell = {"label": row, "answer": column, "n": own, "share": own / max(totals[label], 1)}
            data.append(cell | {"right": label == answer, "told": f"{own:,}", "ann": f"{other:,}"})
    size = max(22, min(34, 360 // max(len(names), 1)))
    base = alt.Chart(rows(data)).encode(
        x=alt.X("answer:N", sort=names, title="answer of the SNN", axis=alt.Axis(grid=False, labelAngle=_angle(names))),
        y=alt.Y("label:N", sort=names, title="label", axis=alt.Axis(grid=False)),
    )
    told = [alt.Tooltip("label:N", title="Label"), alt.Tooltip("answer:N", title="Answer")]
    told += [alt.Tooltip("told:N", title="SNN"), *([alt.Tooltip("ann:N", title="ANN")] if compared else [])]
    cells = base.mark_rect(stroke="var(--grid)", strokeWidth=1).encode(
        color=alt.condition("datum.right", alt.value(COLOURS[0]), alt.value(COLOURS[1])),
        opacity=alt.Opacity("share:Q", scale=alt.Scale(type="sqrt", domain=[0, 1], range=[0, 0.6]), legend=None),
        tooltip=told,
    )
    numbers = base.transform_filter("datum.n > 0").mark_text(fontSize=11, tooltip=None).encode(text="told:N")
    return [
        Chart(
            "confusion",
            "decisions",
            "Confusion matrix of the SNN",
            "Rows are labels, columns answers; right answers on the diagonal. Point at a cell for the ANN's count."
            if compared
            else "Rows are labels, columns answers; right answers on the diagonal.",
            finish(alt.layer(cells, numbers), size * len(names), "Confusion matrix of the SNN"),
            wide=len(names) > 12,
        )
    ]


def _angle(names: list[str]) -> int:
    return 0 if max(map(len, names), default=0) <= 2 else -45
