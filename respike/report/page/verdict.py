"""What a report comes to, in a few sentences and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..charts.layers import labels
from .words import energy, large, percent, score, steps

if TYPE_CHECKING:
    from ..contents import Report


def verdict(report: Report) -> list[str]:
    """Sentences: how well it does, what it costs, how early it may stop, and its weakest layer."""
    return [*_accuracy(report.evaluation), _cost(report), *_early(report), *_weakest(report)]


def figures(report: Report) -> list[tuple[str, str, str]]:
    """The figures that matter most: what it is, its value, and what to hold it against."""
    result = report.evaluation
    agreement = result["agreement"]
    found = [(f"{result['metric']} of the SNN", score(result, result["accuracy"][-1]), steps(len(result["accuracy"])))]
    if result["ann_accuracy"] is not None:
        found.append((f"{result['metric']} of the ANN", score(result, result["ann_accuracy"]), "what it came from"))
    if agreement is not None:
        found.append(("same answer as the ANN", percent(agreement[-1]), f"of {result['samples']:,} samples"))
    if result["ann_macs"]:
        ratio = f"{result['synops'][-1] / result['ann_macs']:.2f}"
        found.append(("SynOps for each MAC of the ANN", ratio, "an addition is cheaper than a MAC"))
    if report.cost is not None and report.cost["baselines"]:
        base = report.cost["baselines"][0]
        ratio = f"{report.cost['energy'][-1] / base['energy'][-1]:.2f} ×"
        found.append(("energy", ratio, f"of the {base['name']}’s"))
    if report.early_exit is not None:
        early = report.early_exit
        told = f"timesteps, at {percent(early['accuracy'])}"
        found.append(("mean latency, stopping early", f"{early['latency']:.2f}", told))
    return found


def _accuracy(result: Mapping[str, Any]) -> list[str]:
    last, ann = result["accuracy"][-1], result["ann_accuracy"]
    classifies = result["metric"] == "accuracy"
    kind = (
        ""
        if result["schedule"] == "synchronous"
        else f" per layer ({result['schedule']}, {result['latency'][-1]} in all)"
    )
    after = f"After {steps(len(result['accuracy']))}{kind} the spiking network"
    if not classifies:
        other = "" if ann is None else f", the ANN one of {score(result, ann)}"
        name = result["metric"] if result["metric"] == "R2" else f"mean {result['metric']}"
        off = f" Its output is off the ANN’s by {percent(result['error'][-1])}." if result.get("error") else ""
        return [f"{after} has a {name} of {score(result, last)} on {result['samples']:,} samples{other}.{off}"]
    told = f"{after} is right on {percent(last)} of {result['samples']:,} samples"
    if ann is None:
        return [f"{told}."]
    points = 100 * (last - ann)
    than = (
        "just as often as"
        if abs(points) < 0.005
        else f"{abs(points):.2f} points {'more' if points > 0 else 'less'} than"
    )
    same = percent(result["agreement"][-1])
    told = f"{told} ({result['judged']})" if result.get("judged") else told
    return [f"{told}, {than} the ANN ({percent(ann)}), and gives the same answer on {same}."]


def _cost(report: Report) -> str:
    if report.cost is not None and report.cost["baselines"]:
        spent, against = report.cost["energy"][-1], report.cost["baselines"]
        listed = [f"{_times(spent / base['energy'][-1])} the {base['name']}" for base in against]
        told = " and ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
        return f"A sample takes {energy(spent)} ({report.cost['model']['name']}): {told}."
    result = report.evaluation
    told = f"A sample takes {large(result['synops'][-1])} synaptic operations"
    if not result["ann_macs"]:
        return f"{told}."
    ratio = result["synops"][-1] / result["ann_macs"]
    return f"{told}, {ratio:.2f} for each of the ANN's {large(result['ann_macs'])} multiply-accumulates."


def _times(ratio: float) -> str:
    return f"{100 * ratio:.0f} % of" if ratio < 1 else f"{ratio:.1f} times"


def _early(report: Report) -> list[str]:
    early = report.early_exit
    if early is None:
        return []
    return [
        f"If each sample stops as soon as it is sure, it takes {early['latency']:.2f} timesteps on average, at "
        f"{percent(early['accuracy'])} on {early['samples']:,} samples."
    ]


def _weakest(report: Report) -> list[str]:
    if report.diagnosis is None:
        return []
    named = labels(report.diagnosis["layers"])
    faults = [finding for finding in report.diagnosis["findings"] if finding["fault"]]
    if faults:
        return [finding["text"] for finding in faults[:3]]
    worst = max(report.diagnosis["layers"], key=_relative, default=None)
    if worst is None:
        return []
    cause = max(worst["parts"], key=lambda name: float(worst["parts"][name]["share"]))
    why = f"mainly because of the layers before it ({percent(worst['parts'][cause]['share'], 0)})"
    if cause != "propagated":
        why = f"mainly by {cause} ({percent(worst['parts'][cause]['share'], 0)})"
    return [
        f"No layer is broken. The weakest is {named[worst['name']]}, whose output is off by "
        f"{percent(_relative(worst), 1)} of the ANN's, {why}."
    ]


def _relative(layer: Mapping[str, Any]) -> float:
    return float(layer["error"] / layer["scale"]) if layer["scale"] else 0.0
