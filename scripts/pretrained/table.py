"""Trained networks that others made: what conversion keeps of them, and what it takes.

    python scripts/benchmark.py pretrained
    python scripts/benchmark.py pretrained --network svhn dnsmos -T 16,64 --codes binary signed --csv pretrained.csv
    python scripts/benchmark.py pretrained --network efficientnet_lite1 --quick

efficientnet_lite1          ImageNet weights; 64 crops of 240x240 of 8 photographs calibrate, 60 of 6 others judge
efficientnet_lite1_halves   the same; left halves of all photographs calibrate, right halves of six judge
svhn                        digits of house numbers, 32x32; 64 drawn ones calibrate, 1,000 judge
chess_pieces                squares of chess boards, 32x32; 64 drawn ones calibrate, 1,000 judge
dnsmos                      how good speech sounds, 900x120 mel features of synthetic sound; 64 calibrate, 60 judge
resnet50, vgg16             torchvision's with random weights, 224x224, 64 crops: only what conversion takes

Neither weights nor photographs are part of respike: they come from packages, and those that are missing are named.
Conversion has its defaults. Its time is given in forward passes of the ANN over the calibration samples: the median of
six, three before it and three after. Each row has a process of its own, whose peak memory during the conversion is
given above what it had with torch and respike loaded. Other converters (``peers.py``) follow on the same samples.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import peers
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from .measure import AUTO, CODES, Row, measure
from .networks import NETWORKS, UNTRAINED
from .packages import MissingError

HEADS = ("T", "latency", "own metric", "agreement, %", "relative error", "SynOps/MACs", "ANN passes", "MiB")


def add_to(commands: Any) -> None:
    """The subcommand's arguments."""
    parser = commands.add_parser(
        "pretrained",
        help="trained networks that others made",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--network", nargs="*", default=list(NETWORKS), choices=list(NETWORKS), metavar="NAME")
    parser.add_argument("-T", "--timesteps", default="16", help="comma-separated")
    parser.add_argument(
        "--codes", nargs="*", default=list(CODES), choices=list(CODES), help="without training only the first"
    )
    parser.add_argument(
        "--auto", type=float, metavar="WITHIN", help='also what timesteps="auto" finds, with prefer="latency"'
    )
    parser.add_argument("--quick", action="store_true", help="few samples and small pictures, to try it")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="other converters too")
    parser.add_argument("--markdown", action="store_true", help="print the tables as docs/benchmarks.md has them")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Prints a table for each network, and gives its rows as soon as they are there."""
    others = list(peers.installed()[0]) if args.peers else []
    console, left_out = Console(width=160), []
    for name in args.network:
        codes = args.codes[:1] if name in UNTRAINED else [*args.codes, *others]
        cases = [(code, int(t)) for code in codes for t in args.timesteps.split(",")]
        if args.auto is not None and name not in UNTRAINED:
            cases.append((f"{AUTO}{args.auto:g}", 0))  # it finds T
        lines = box.MARKDOWN if args.markdown else box.HEAVY_HEAD
        table = Table("code", *HEADS, title=f"{name}{', quick' if args.quick else ''}", box=lines)
        notes: list[str] = []
        for i, (code, t) in enumerate(cases, 1):
            print(f"{name}, {code}{f', T = {t}' if t else ''}: row {i} of {len(cases)}", file=sys.stderr)
            try:
                row = apart(name, code, t, args.quick, torch.get_num_threads())
            except MissingError as reason:
                console.print(f"{name} is left out: {reason}", highlight=False, soft_wrap=True)
                left_out.append(name)
                break
            console.print(" | ".join((row.code, *cells(row))), style="dim", highlight=False, soft_wrap=True)
            if row.note:
                notes.append(f"- {code}, T = {t}: {row.note}")
            else:
                table.add_row(row.code, *cells(row))
            yield row
        if table.row_count:
            console.print(table)
        for note in notes:
            console.print(note, highlight=False, soft_wrap=True)
    if left_out:
        console.print(f"left out, as packages are missing (see above): {', '.join(left_out)}", highlight=False)


def apart(name: str, code: str, timesteps: int, quick: bool, threads: int) -> Row:
    """``measure`` in a process of its own; if that is killed, for memory say, the other rows go on."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        try:
            return alone.submit(measure, name, code, timesteps, quick, threads).result()
        except BrokenExecutor:
            return Row(name, code, timesteps, note="its process was killed; is there enough memory?")


def cells(row: Row) -> list[str]:
    """What the table shows behind the code."""
    if row.note:
        return [str(row.T), "-", row.note]
    own = "-" if row.value is None else f"{row.value:.2f} {row.metric}".replace("-", "−")
    shown = [str(row.T), "-" if row.latency is None else str(row.latency), own]
    forms = ((row.agreement, ".1f"), (row.error, ".3f"), (row.synops, ".2f"), (row.passes, ".0f"), (row.memory, ",.0f"))
    return shown + ["-" if value is None else format(value, form) for value, form in forms]
