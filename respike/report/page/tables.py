"""The tables of a page: headings, and rows of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...evaluation.formatting import steps_worth_a_line
from ..charts.layers import labels
from ..contents.spreadsheets import layers as layer_rows
from .words import energy, percent, score, span

if TYPE_CHECKING:
    from ..contents import Report


@dataclass(frozen=True)
class Table:
    """Words in rows; the first column names the row.

    Attributes:
        caption: What it is.
        head: Of each column.
        rows: As many words each.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def filled(self) -> Table:
        """Without the columns that say nothing."""
        kept = [k for k in range(len(self.head)) if k == 0 or any(row[k] != "–" for row in self.rows)]
        rows = [[row[k] for k in kept] for row in self.rows]
        return Table(self.caption, [self.head[k] for k in kept], rows)


def timesteps(report: Report, every: bool) -> Table:
    """Accuracy and cost at powers of two, or at every timestep."""
    result = report.evaluation
    last = len(result["accuracy"])
    head = [
        "T",
        "latency",
        result["metric"],
        "agreement",
        "error",
        "spikes",
        "per neuron",
        "SynOps",
        "SynOps / ANN MACs",
        "energy",
    ]
    error = result.get("error")
    rows = []
    for t in range(1, last + 1) if every else steps_worth_a_line(last):
        i = t - 1
        rows.append(
            [
                str(t),
                str(result["latency"][i]) if result["latency"] != list(range(1, last + 1)) else "–",
                score(result, result["accuracy"][i]),
                percent(None if result["agreement"] is None else result["agreement"][i]),
                percent(None if error is None else error[i]),
                f"{result['spikes'][i]:,.0f}",
                f"{result['spikes'][i] / result['neurons']:.3f}" if result["neurons"] else "–",
                f"{result['synops'][i]:,.0f}",
                f"{result['synops'][i] / result['ann_macs']:.3f}" if result["ann_macs"] else "–",
                "–" if report.cost is None else energy(report.cost["energy"][i]),
            ]
        )
    if result["ann_accuracy"] is not None:
        macs = f"{result['ann_macs']:,} MACs"
        base = (
            None if report.cost is None or not report.cost["baselines"] else report.cost["baselines"][0]["energy"][-1]
        )
        spent = "–" if base is None else energy(base)
        rows.append(["ANN", "–", score(result, result["ann_accuracy"]), "–", "–", "–", "–", macs, "1", spent])
    words = f"{'At every timestep' if every else 'Timesteps'}: means over {result['samples']:,} samples"
    if result.get("judged"):
        words += f"; {result['judged']}"
    return Table(words, head, rows).filled


def baselines(report: Report) -> Table | None:
    """The ANNs that the network is held against."""
    if report.cost is None:
        return None
    rows = []
    for base in report.cost["baselines"]:
        ratio = report.cost["energy"][-1] / base["energy"][-1]
        spent, bits = energy(base["energy"][-1]), str(base["bits"][-1])
        rows.append([base["name"], base["about"], f"{base['macs']:,.0f}", bits, spent, f"{ratio:.3f}"])
    head = ["baseline", "what it computes", "MACs", "bits", "energy", "SNN / baseline"]
    return Table("What the network is held against, per sample", head, rows)


SENDERS = {"max": "max-pool", "input": "events"}
"""What sends, where it is no neuron."""


def layers(report: Report) -> Table:
    """A row for each layer: what it is, and what it did."""
    shapes = {x["name"]: x["shape"] for x in (report.network or {"layers": ()})["layers"]}
    named = labels(report.evaluation["layers"])
    rows = []
    for row in layer_rows(report):
        about, spikes = "neuron" in row, row["kind"] == "spike"
        burst = f" ×{row['max_spikes']}" if about and row["max_spikes"] > 1 else ""
        rows.append(
            [
                named[row["name"]],
                f"{row['neuron']}{burst}" if about else SENDERS.get(row["kind"], "–"),
                "×".join(map(str, shapes.get(row["name"]) or [row["neurons"]])),
                span([row["threshold_lowest"], row["threshold_highest"]]) if about else "–",
                f"{row['spikes']:,.1f}",
                f"{row['rate']:.3f}" if spikes else "–",
                f"{row['synops']:,.0f}",
            ]
        )
    caption = f"Layers, at T = {len(report.evaluation['accuracy'])}; spikes and SynOps per sample"
    return Table(caption, ["layer", "neuron", "size", "θ", "spikes", "rate", "SynOps"], rows).filled


ELSE = {
    "static": "computed once, from the input alone",
    "function": "functions of means",
    "product": "products of signals",
    "analog": "kept analog",
    "head": "head, on the decoded output",
}
"""What is no neuron and no synapse, by the key of its list in the network's description."""


def elsewhere(report: Report) -> Table | None:
    """A row for each kind of operation that is neither neurons nor synapses, and where in the network it is."""
    found = [(words, list(dict.fromkeys((report.network or {}).get(key) or []))) for key, words in ELSE.items()]
    rows = [[words, f"{len(places):,}", ", ".join(places)] for words, places in found if places]
    return Table("What is neither neurons nor synapses", ["what", "places", "where"], rows) if rows else None


def populations(report: Report) -> Table | None:
    """A row for each smooth function that is a sum of ReLUs in the spiking network."""
    rows = [
        [made["where"], f"{made['neurons']:,}", percent(made["error"])]
        for made in (report.network or {}).get("populations") or []
    ]
    head = ["function", "neurons for each value", "error"]
    return Table("Sums of ReLUs in the place of smooth functions", head, rows) if rows else None


def errors(report: Report) -> Table | None:
    """A row for each layer of neurons: how well its output is the ANN's, and why not better."""
    if report.diagnosis is None:
        return None
    named = labels(report.diagnosis["layers"])
    shares = ("saturated", "silent", "dead")
    causes = ("propagated", "correction", "clipping", "quantisation", "unevenness")
    rows = [
        [
            named[layer["name"]],
            percent(layer["error"] / layer["scale"] if layer["scale"] else 0.0, 1),
            "–" if layer["pearson"] is None else f"{layer['pearson']:.4f}",
            *(percent(layer[key], 1) for key in shares),
            *(percent(layer["parts"][cause]["share"], 0) for cause in causes),
        ]
        for layer in report.diagnosis["layers"]
    ]
    return Table("Layers beside the ANN's", ["layer", "error", "Pearson", *shares, *causes], rows)


def confused(report: Report) -> Table | None:
    """What was taken for what most often, besides right answers."""
    if report.decisions is None:
        return None
    names = report.decisions["classes"]
    wrong = [cell for cell in report.decisions["confusion"] if cell[0] != cell[1] and cell[2]]
    wrong.sort(key=lambda cell: (-cell[2], cell[0], cell[1]))
    other = report.decisions["differing"] is not None
    rows = [[names[a], names[b], f"{own:,}", f"{ann:,}" if other else "–"] for a, b, own, ann in wrong[:10]]
    return Table("Taken for another class most often", ["label", "answer", "SNN", "ANN"], rows).filled if rows else None


def side_by_side(reports: Sequence[Report], names: Sequence[str]) -> Table:
    """A column for each of several reports."""

    def row(head: str, values: Sequence[str]) -> list[str]:
        return [head, *values]

    results = [report.evaluation for report in reports]
    rows = [
        row("timesteps", [str(len(r["accuracy"])) for r in results]),
        row("schedule", [r["schedule"] for r in results]),
        row("latency", [str(r["latency"][-1]) for r in results]),
        row("neuron", [_neurons(report) for report in reports]),
        row(results[0]["metric"], [score(r, r["accuracy"][-1]) for r in results]),
        row(f"{results[0]['metric']} of the ANN", [score(r, r["ann_accuracy"]) for r in results]),
        row("agreement", [percent(r["agreement"][-1] if r["agreement"] else None) for r in results]),
        row("spikes", [f"{r['spikes'][-1]:,.0f}" for r in results]),
        row("SynOps", [f"{r['synops'][-1]:,.0f}" for r in results]),
        row("SynOps / ANN MACs", [f"{r['synops'][-1] / r['ann_macs']:.3f}" if r["ann_macs"] else "–" for r in results]),
        row("energy", ["–" if x.cost is None else energy(x.cost["energy"][-1]) for x in reports]),
        row("mean latency, stopping early", [_early(x.early_exit, "latency") for x in reports]),
        row("accuracy, stopping early", [_early(x.early_exit, "accuracy") for x in reports]),
        row("weakest layer", [_weakest(x.diagnosis)[0] for x in reports]),
        row("its error", [_weakest(x.diagnosis)[1] for x in reports]),
        row("samples", [f"{r['samples']:,}" for r in results]),
    ]
    kept = [r for r in rows if any(word != "–" for word in r[1:])]
    return Table("Side by side, after all timesteps; spikes, SynOps and energy per sample", ["", *names], kept)


def _neurons(report: Report) -> str:
    kinds = [
        x["neuron"] + (f" ×{x['max_spikes']}" if x["max_spikes"] > 1 else "")
        for x in (report.network or {"layers": ()})["layers"]
    ]
    return ", ".join(dict.fromkeys(kinds)) or "–"


def _early(early: Mapping[str, Any] | None, key: str) -> str:
    if early is None:
        return "–"
    return percent(early[key]) if key == "accuracy" else f"{early[key]:.2f}"


def _weakest(diagnosis: Mapping[str, Any] | None) -> tuple[str, str]:
    layers = [] if diagnosis is None else [x for x in diagnosis["layers"] if x["scale"]]
    if not layers:
        return "–", "–"
    worst = max(layers, key=lambda x: float(x["error"] / x["scale"]))
    return worst["where"], percent(worst["error"] / worst["scale"], 1)
