"""What conversion loses, in one table: codes and corrections against timesteps, for the reference networks.

    python scripts/benchmark.py accuracy mnist_cnn
    python scripts/benchmark.py accuracy fashion_resnet --data-dir data -T 2,4,8,16 --csv losses.csv
    python scripts/benchmark.py calibration mnist_cnn -T 16,64,256,1024 --errors
    python scripts/benchmark.py speed         (see speed.py)
    python scripts/benchmark.py pretrained    (see pretrained/table.py)
    python scripts/benchmark.py finetune      (see tuning/finetuning.py)
    python scripts/benchmark.py onnx-export   (see exports/onnx_files.py)
    python scripts/benchmark.py synapses      (see synapses/events.py)
    python scripts/benchmark.py growth        (see synapses/growth.py)
    python scripts/benchmark.py recordings    (see recordings/shares.py)
    python scripts/benchmark.py encoders      (see inputs/encoded.py)
    python scripts/benchmark.py smooth        (see smooth/codes.py)
    python scripts/benchmark.py ranks         (see ranks/gain.py)
    python scripts/benchmark.py stream        (see ranks/gain.py)

Each row is a network calibrated anew for its T on 512 unlabelled training images and judged on the test images:
points of accuracy below the ANN, agreement with the ANN, spikes and synaptic operations per image, latency of a
decision in timesteps. The rows called "(T+1)-value ANN" are the schedule ``layerwise``, which computes exactly the ANN
with every ReLU quantised to T + 1 values: what rate coding alone costs, with nothing arriving unevenly. Other
converters (see ``peers.py``) follow on the same images; their spikes are not counted.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain, product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import peers
import speed
import torch
from exports import onnx_files
from inputs import encoded
from judge import CALIBRATION, Judge, data_of
from pretrained import table
from ranks import gain
from recordings import shares
from rich.console import Console
from rich.table import Table
from smooth import codes
from synapses import events, growth
from torch import Tensor, nn
from tuning import finetuning

import respike
from respike.files import written_whole
from respike.models import REGISTRY

CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "signed": {"neuron": "signed"},
    "bursts of 4": {"max_spikes": 4},
    "multi-threshold": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
    "(T+1)-value ANN": {"schedule": "layerwise"},
}
CORRECTIONS = ("none", "bias", "ridge")


class Row(NamedTuple):
    """A line of the table; shares in percent, None where it is not known, words in ``points_lost`` if refused."""

    network: str
    code: str
    correction: str
    T: int | None
    points_lost: float | str
    accuracy: float | None = None
    agreement: float | None = None
    spikes: float | None = None
    synops: float | None = None
    latency: int | None = None
    images: int | None = None

    def cells(self) -> list[str]:
        """What the table shows: all but the network and the accuracy, which points lost tell."""
        lost = self.points_lost if isinstance(self.points_lost, str) else f"{self.points_lost:.2f}"
        agreement = "-" if self.agreement is None else f"{self.agreement:.2f} %"
        costs = ["-" if x is None else f"{x:,.0f}" for x in (self.spikes, self.synops)]
        steps = ["-" if x is None else str(x) for x in (self.T, self.latency)]
        return [self.code, self.correction, steps[0], lost, agreement, *costs, steps[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    accuracy = commands.add_parser("accuracy", help="codes and corrections against timesteps")
    relu = sorted(name for name, reference in REGISTRY.items() if not reference.smooth)
    accuracy.add_argument("names", nargs="*", default=relu, help="reference networks; all ReLU networks by default")
    accuracy.add_argument("-T", "--timesteps", default="1,2,4,8,16,32", help="comma-separated")
    accuracy.add_argument("--codes", nargs="*", default=list(CODES), choices=list(CODES))
    accuracy.add_argument("--corrections", nargs="*", default=["bias", "ridge"], choices=CORRECTIONS)
    accuracy.add_argument("--samples", type=int, default=10_000, help="test images used")
    accuracy.add_argument("--draw", type=int, default=0, help="seed of the draw of calibration images")
    accuracy.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    accuracy.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="other converters too")
    accuracy.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")
    cost = commands.add_parser("calibration", help="what calibration takes, in forward passes of the ANN")
    cost.add_argument("names", nargs="*", default=["fashion_resnet"], help="reference networks")
    cost.add_argument("-T", "--timesteps", default="4,8,16", help="comma-separated")
    cost.add_argument(
        "--errors",
        action="store_true",
        help="instead: the relative error on 1,000 test images, and the memory that calibration took at most",
    )
    cost.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    speed.add_to(commands)
    table.add_to(commands)
    finetuning.add_to(commands)
    onnx_files.add_to(commands)
    events.add_to(commands)
    growth.add_to(commands)
    shares.add_to(commands)
    encoded.add_to(commands)
    codes.add_to(commands)
    gain.add_to(commands)
    args = parser.parse_args()
    if args.command == "calibration":
        for name in args.names:
            (errors_of if args.errors else cost_of)(name, args)
        return
    if args.command in ("ranks", "stream"):
        args.run(args)
        return
    if args.csv and not args.csv.parent.is_dir():
        parser.error(f"--csv: the folder {args.csv.parent} does not exist")  # better now than after an hour
    found, missing = peers.installed()
    if getattr(args, "peers", False) and missing:
        print(f"not compared, as not installed: {', '.join(missing)}; pip install -e '.[peers]' brings them")
    tables: dict[str, Callable[[], Iterator[list[Any]]]] = {
        "speed": lambda: speed.run(args, partial(judged, args)),
        "onnx-export": lambda: ([row] for row in onnx_files.run(args, partial(judged, args))),
        "pretrained": lambda: ([row] for row in table.run(args)),
        "finetune": lambda: ([row] for row in finetuning.run(args)),
        "synapses": lambda: ([row] for row in events.run(args)),
        "growth": lambda: ([row] for row in growth.run(args)),
        "recordings": lambda: ([row] for row in shares.run(args)),
        "encoders": lambda: ([row] for row in encoded.run(args)),
        "smooth": lambda: ([row] for row in codes.run(args)),
    }
    if args.command in tables:
        measured: list[Any] = []
        for some in tables[args.command]():
            measured += some
            if args.csv:  # at once: a row may take minutes
                write(measured, args.csv, measured[0]._fields)
        return
    rows: list[Row] = []
    for name in args.names:
        table_of(name, args, found if args.peers else {}, rows)


def cost_of(name: str, args: argparse.Namespace) -> None:
    """Prints how long calibration takes, in forward passes of the ANN over the same images, timed in turns."""
    ann = respike.models.load(name)
    calibration, _ = data_of(name, args.data_dir)
    table = Table("correction", "T", "ANN forward passes", title=f"{name}: calibration on {CALIBRATION} images")
    for correction, t in product(CORRECTIONS, [int(t) for t in args.timesteps.split(",")]):
        ratios = []
        for _ in range(3):
            passes = [speed.seconds(lambda: [ann(batch) for batch in calibration.split(64)]) for _ in range(5)]
            options: dict[str, Any] = {"correction": correction}
            run = partial(respike.from_torch, ann, calibration, t, **options)
            ratios.append(speed.seconds(run) / statistics.median(passes))
        spread = f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
        table.add_row(correction, str(t), spread)
    Console(width=120).print(table)


def errors_of(name: str, args: argparse.Namespace) -> None:
    """Prints what networks calibrated for each T lose, and the memory that this took, each in a process of its own."""
    table = Table("T", "relative error", "MiB at most", title=f"{name}: calibrated on {CALIBRATION} images")
    for t in args.timesteps.split(","):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            error, peak = alone.submit(error_and_peak, name, args.data_dir, int(t)).result()
        table.add_row(t, f"{error:.4f}", f"{peak:.0f}")
    Console(width=120).print(table)


def error_and_peak(name: str, data_dir: Path | None, timesteps: int) -> tuple[float, float]:
    """The error on test images in units of the ANN's output, and what memory calibration added, in MiB."""
    if sys.platform == "win32":
        raise SystemExit("peak memory cannot be read on Windows; run this on Linux or macOS")
    import resource

    ann = respike.models.load(name)
    calibration, test = data_of(name, data_dir)
    images = torch.stack([test[i][0] for i in range(1000)])
    with torch.no_grad():
        wanted = ann(images)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    snn = respike.from_torch(ann, calibration, timesteps)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = torch.cat([snn(part) for part in images.split(100)])
    return float((found - wanted).norm() / wanted.norm()), peak


def judged(args: argparse.Namespace, name: str) -> tuple[Tensor, Judge]:
    """Calibration images, and the judge of a reference network."""
    calibration, test = data_of(name, args.data_dir)
    return calibration, Judge(respike.models.load(name), test, args.samples)


def write(
    rows: Sequence[NamedTuple],
    path: Path,
    fields: tuple[str, ...] = Row._fields,
) -> None:
    """The rows as CSV."""
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(fields)
        writer.writerows([round(x, 4) if isinstance(x, float) else x for x in row] for row in rows)


def table_of(name: str, args: argparse.Namespace, others: dict[str, peers.Peer], rows: list[Row]) -> None:
    """Prints one network's table, a row as soon as it is there, and adds the rows to ``rows``."""
    console = Console(width=120)
    ann = respike.models.load(name)
    calibration, test = data_of(name, args.data_dir, args.draw)
    judge = Judge(ann, test, args.samples)
    steps = [int(t) for t in args.timesteps.split(",")]
    table = Table("code", "correction", "T", "points lost", "agreement", "spikes", "SynOps", "latency", title=name)
    ours = ours_of(name, ann, calibration, judge, steps, args)
    for row in chain(ours, theirs_of(name, ann, calibration, judge, steps, others)):
        rows.append(row)
        if args.csv:  # at once: a run takes hours
            write(rows, args.csv)
        console.print(" | ".join(row.cells()), style="dim")
        table.add_row(*row.cells())
    console.print(table)
    console.print(f"ANN: {judge.accuracy:.2f} % of {args.samples:,} test images")


def ours_of(
    name: str, ann: nn.Module, calibration: Tensor, judge: Judge, steps: list[int], args: argparse.Namespace
) -> Iterator[Row]:
    """Every code with every correction at every T."""
    for code, correction, t in product(args.codes, args.corrections, steps):
        snn = respike.from_torch(ann, calibration, t, correction=correction, seed=args.draw, **CODES[code])
        result = respike.evaluate(snn, (judge.images, judge.labels), ann=ann)
        assert result.agreement is not None
        accuracy, agreement = 100 * float(result.accuracy[-1]), 100 * float(result.agreement[-1])
        costs = float(result.spikes[-1]), float(result.synops[-1])
        lost = judge.accuracy - accuracy
        yield Row(name, code, correction, t, lost, accuracy, agreement, *costs, snn.latency, len(judge.labels))


@torch.no_grad()
def theirs_of(
    name: str, ann: nn.Module, calibration: Tensor, judge: Judge, steps: list[int], others: dict[str, peers.Peer]
) -> Iterator[Row]:
    """Every peer at every T, or one row that says why not. One run is read out at all of them."""
    for code, convert in others.items():
        try:
            converted = convert(ann, calibration, max(steps))
            curves = [converted.outputs(batch).cumsum(0) for batch in judge.images.split(100)]
        except peers.RefusedError as reason:
            yield Row(name, code, "-", None, str(reason))
            continue
        for t in steps:
            decided = torch.cat([curve[t - 1].argmax(1) for curve in curves])
            accuracy, agreement = judge.share(decided, judge.labels), judge.share(decided, judge.decided)
            shares = judge.accuracy - accuracy, accuracy, agreement
            yield Row(name, code, "-", t, *shares, latency=t, images=len(judge.labels))


if __name__ == "__main__":
    main()
