"""A report as tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from ...files import written_whole

Row = Mapping[str, Any]
Section = Mapping[str, Any]


class Sections(Protocol):
    """The parts of a report that go into tables, see ``Report``."""

    @property
    def evaluation(self) -> Section: ...
    @property
    def cost(self) -> Section | None: ...
    @property
    def network(self) -> Section | None: ...
    @property
    def diagnosis(self) -> Section | None: ...
    @property
    def decisions(self) -> Section | None: ...
    @property
    def early_exit(self) -> Section | None: ...


def tables(report: Sections) -> dict[str, list[Row]]:
    """Rows by the name of the table; tables of what is not known are left out."""
    found: dict[str, list[Row]] = {"timesteps": timesteps(report), "layers": layers(report)}
    if report.decisions is not None:
        names = report.decisions["classes"]
        found["confusion"] = [
            {"label": names[label], "answer": names[answer], "snn": own, "ann": other}
            for label, answer, own, other in report.decisions["confusion"]
        ]
        if report.decisions["differing"] is not None:
            keys = ("label", "snn", "ann")
            found["differing"] = [
                {"index": one["index"], **{key: names[one[key]] for key in keys}}
                for one in report.decisions["differing"]["shown"]
            ]
    if report.early_exit is not None:
        found["early_exit"] = [{"latency": x, "accuracy": y} for x, y in report.early_exit["curve"]]
    return found


def timesteps(report: Sections) -> list[Row]:
    """A row for each timestep."""
    result = report.evaluation
    curves = {key: result[key] for key in ("accuracy", "agreement", "latency", "spikes", "synops", "macs")}
    curves["error"] = result.get("error")
    if report.cost is not None:
        curves["energy_pj"] = report.cost["energy"]
        curves |= {f"energy_pj {base['name']}": base["energy"] for base in report.cost["baselines"]}
    return [
        {"timesteps": t + 1, **{key: curve[t] for key, curve in curves.items() if curve is not None}}
        for t in range(len(result["accuracy"]))
    ]


def layers(report: Sections) -> list[Row]:
    """A row for each layer: what it is, what it did after all steps, and how well."""
    network = {layer["name"]: layer for layer in (report.network or {"layers": ()})["layers"]}
    found = {layer["name"]: layer for layer in (report.diagnosis or {"layers": ()})["layers"]}
    rows: list[Row] = []
    for layer in report.evaluation["layers"]:
        about, known = network.get(layer["name"]), found.get(layer["name"])
        steps = len(layer["spikes"])
        row: dict[str, Any] = {
            "name": layer["name"],
            "where": layer["where"],
            "kind": layer["kind"],
            "neurons": layer["neurons"],
            "spikes": layer["spikes"][-1],
            "rate": layer["spikes"][-1] / (layer["neurons"] * steps),
            "synops": layer["synops"][-1],
        }
        if about is not None:
            ends = zip(("threshold_lowest", "threshold_highest"), about["threshold"], strict=True)
            row |= {"neuron": about["neuron"], "max_spikes": about["max_spikes"], **dict(ends)}
        if known is not None:
            row |= {key: known[key] for key in ("error", "scale", "pearson", "saturated", "silent", "dead")}
            row |= {f"share_{cause}": part["share"] for cause, part in known["parts"].items()}
        rows.append(row)
    return rows


def write(named: Mapping[str, Sequence[Row]], folder: str | PathLike[str]) -> list[Path]:
    """Write each table as ``folder/name.csv``; a column that a row does not have is empty there."""
    place = Path(folder)
    place.mkdir(exist_ok=True)
    files = []
    for name, rows in named.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        files.append(place / f"{name}.csv")
        with written_whole(files[-1]) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return files
