"""Tables for docs/benchmarks.md from what ``benchmark.py accuracy --csv`` writes.

    python scripts/accuracy_table.py docs/accuracy.csv
    python scripts/accuracy_table.py run1.csv run2.csv --join docs/accuracy.csv

One table for each network: points of accuracy below the ANN for each code and correction against T. The other
columns (agreement, spikes, synaptic operations, latency) stay in the file.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from benchmark import CODES, CORRECTIONS

from respike.files import written_whole
from respike.models import REGISTRY

MISSING = "–"
Line = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="CSV files of benchmark.py accuracy")
    parser.add_argument("--join", type=Path, metavar="FILE", help="write the rows of all files there, as one")
    args = parser.parse_args()
    lines = [line for file in args.files for line in read(file)]
    if args.join:
        with written_whole(args.join) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    for network in dict.fromkeys(line["network"] for line in lines):
        print(table(network, [line for line in lines if line["network"] == network]), end="\n\n")


def read(path: Path) -> list[Line]:
    """The rows of one file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(network: str, lines: Sequence[Line]) -> str:
    """One network's table, in Markdown; rows on fewer test images than others say on how many."""
    steps = sorted({int(line["T"]) for line in lines if line["T"]})
    most = max(int(line["images"] or 0) for line in lines)
    ann = next(float(line["accuracy"]) + float(line["points_lost"]) for line in lines if line["images"] == str(most))
    found: dict[tuple[str, str], dict[int, str]] = {}
    refused: dict[str, str] = {}
    for line in lines:
        if not line["T"]:
            refused[line["code"]] = line["points_lost"]
            continue
        lost = f"{float(line['points_lost']) + 0.0:.2f}".replace("-", "−")
        code = line["code"] if line["images"] == str(most) else f"{line['code']} ({int(line['images']):,})"
        found.setdefault((code, line["correction"]), {})[int(line["T"])] = lost
    head = ["code", "correction", *(f"T = {t}" for t in steps)]
    rows = [[*key, *(found[key].get(t, MISSING) for t in steps)] for key in sorted(found, key=place)]
    text = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    name = REGISTRY[network].build().__class__.__name__
    notes = [f"- {code}: {reason.rstrip('.')}." for code, reason in refused.items()]
    return "\n".join([f"**{name}**, {ann:.2f} %", "", *text, *(["", *notes] if notes else [])])


def place(key: tuple[str, str]) -> tuple[int, int]:
    """Where a row belongs: codes as the benchmark has them, each with less correction first; then other converters."""
    code = key[0].partition(" (")[0]
    return (list(CODES).index(code), CORRECTIONS.index(key[1])) if code in CODES else (len(CODES), 0)


if __name__ == "__main__":
    main()
