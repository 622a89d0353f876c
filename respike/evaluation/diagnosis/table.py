"""A diagnosis as a table and in words."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Diagnosis, LayerDiagnosis

WIDTH = 110
HEAD = ("error", "propagated", "correction", "clipping", "quantisation", "unevenness")
BEHIND = ("Pearson", "saturated", "silent", "dead", "alone", "best")


def table(diagnosis: Diagnosis) -> str:
    """A line for each layer, what the numbers are, and the findings."""
    rows = [["layer", *HEAD, *BEHIND], *(_row(layer) for layer in diagnosis.layers)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join([first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(cells, widths[1:], strict=True))])
        for first, *cells in rows
    ]
    agreement = "" if diagnosis.agreement is None else f", {100 * diagnosis.agreement:.2f} % decided as the ANN"
    lines += [
        f"{diagnosis.samples:,} samples, T = {diagnosis.timesteps}, {diagnosis.schedule}{agreement}; "
        f"the output is off by {_percent(diagnosis.output_error)}",
        *textwrap.wrap(
            "error: of the decoded output, in % of the ANN's root mean square; then each cause's share of its square; "
            "alone: the error with exact, even input; best: the same with thresholds and correction at their best"
            + ("" if diagnosis.timesteps == diagnosis.calibrated else f", both at T = {diagnosis.calibrated}"),
            WIDTH,
        ),
    ]
    for finding in diagnosis.findings:
        lines += ["", *textwrap.wrap(finding.text, WIDTH)]
        lines += [f"  -> {finding.suggestion}"] if finding.suggestion else []
    return "\n".join(lines)


def _row(layer: LayerDiagnosis) -> list[str]:
    parts = [f"{100 * layer.parts[name].share:.0f} %" for name in HEAD[1:]]
    pearson = "-" if layer.pearson is None else f"{layer.pearson:.3f}"
    shares = [_percent(x) for x in (layer.saturated, layer.silent, layer.dead)]
    trial = ["-", "-"] if layer.trial is None else [_percent(layer.trial.now), _percent(layer.trial.best)]
    return [layer.where, _percent(layer.relative), *parts, pearson, *shares, *trial]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
