"""Early exit: what it costs and saves, and when samples stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chart import COLOURS, DIAMOND, Chart, finish, rows, steps_axis

if TYPE_CHECKING:
    from ..contents import Report


def early_exit(report: Report) -> list[Chart]:
    """Accuracy against mean latency, and how many samples stop when; nothing if it is not known."""
    import altair as alt

    early = report.early_exit
    if early is None:
        return []
    fixed = 100 * early["fixed_accuracy"]
    points = [{"x": x, "y": 100 * y, "told": f"{100 * y:.2f} %"} for x, y in early["curve"]]
    # Thresholds that stop at the first guess would take the rest of the chart away.
    bottom = max(min(p["y"] for p in points), fixed - 10)
    scale = alt.Scale(domain=[bottom, min(100, max(p["y"] for p in points) + 0.5)], nice=False)
    x = alt.X("x:Q", title="mean timesteps", scale=alt.Scale(domain=[1, early["timesteps"]], nice=False))
    y = alt.Y("y:Q", title="accuracy (%)", scale=scale)
    told = [alt.Tooltip("x:Q", title="Mean timesteps", format=".2f"), alt.Tooltip("told:N", title="Accuracy")]
    curve = alt.Chart(rows(points)).encode(x=x, y=y)
    chosen = [{"x": early["latency"], "y": 100 * early["accuracy"], "told": f"{100 * early['accuracy']:.2f} %"}]
    trade = alt.layer(
        alt.Chart(rows([{"y": fixed}])).mark_rule(color=COLOURS[1], strokeDash=[5, 4], strokeWidth=2).encode(y=y),
        curve.mark_line(color=COLOURS[0], strokeWidth=2, clip=True),
        curve.mark_point(filled=True, size=60, opacity=0, clip=True).encode(tooltip=told),
        alt.Chart(rows(chosen)).mark_point(**DIAMOND).encode(x=x, y=y, tooltip=told),
    )
    total = early["samples"]
    stopped = [
        {"t": t, "y": 100 * n / total, "from": t - 0.4, "to": t + 0.4, "n": n}
        for t, n in enumerate(early["stopped"], 1)
    ]
    told = [alt.Tooltip("t:Q", title="Timestep"), alt.Tooltip("n:Q", title="Samples that stop", format=",")]
    bars = (
        alt.Chart(rows(stopped))
        .mark_bar(color=COLOURS[0])
        .encode(
            x=steps_axis(early["timesteps"], "timestep", "from:Q"),
            x2="to:Q",
            y=alt.Y("y:Q", title="samples that stop (%)"),
            y2=alt.Y2Datum(0),
            tooltip=told,
        )
    )
    mean = alt.Chart(rows([{"x": early["latency"]}])).mark_rule(color="var(--ink)", strokeDash=[2, 3], strokeWidth=1.5)
    spoken = f"Chosen: {chosen[0]['told']} in {early['latency']:.2f} steps on average; all steps: {fixed:.2f} %"
    return [
        Chart(
            "exit",
            "exit",
            "Accuracy against mean latency",
            f"Each point of the line is another threshold of the {early['score']}; the diamond is the chosen one, the "
            f"dashed line all {early['timesteps']} steps.",
            finish(trade, 240, spoken),
        ),
        Chart(
            "exit-steps",
            "exit",
            "When samples stop",
            f"The dotted line is the mean, {early['latency']:.2f} steps.",
            finish(alt.layer(bars, mean.encode(x="x:Q")), 240, f"Shares of samples that stop at each step. {spoken}"),
        ),
    ]
