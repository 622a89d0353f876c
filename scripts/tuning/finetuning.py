"""What fine-tuning brings: accuracy, agreement and synaptic operations before and after, and the minutes it took.

    python scripts/benchmark.py finetune mnist_cnn --data-dir data -T 1,2,4 --images 60000 --steps 3000

Networks are calibrated with ridge on 512 unlabelled training images and learn from as many, or from all training
images, moved by up to ``--shift`` pixels; no label is read. The test images judge, once, in the end.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from judge import Judge, data_of
from rich.console import Console
from rich.table import Table

import respike
from respike.models import REGISTRY, datasets
from respike.training import Shifts
from respike.training.options import HIDDEN


class Row(NamedTuple):
    """A network at a T, before and after; points and shares in percent."""

    network: str
    T: int
    learned_from: int
    steps: int
    batch_size: int
    learning_rate: float
    hidden: float
    points_lost_before: float
    points_lost: float
    agreement_before: float
    agreement: float
    synops_before: float
    synops: float
    images_lost: int
    images_won: int
    by_chance: float
    minutes: float
    images: int


def add_to(commands: Any) -> None:
    """The subcommand ``finetune``."""
    parser = commands.add_parser(
        "finetune", help="what fine-tuning brings", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["mnist_cnn"], help="reference networks")
    parser.add_argument("-T", "--timesteps", default="1,2,4", help="comma-separated")
    parser.add_argument("--images", type=int, choices=[512, 60_000], default=60_000, help="to learn from")
    parser.add_argument("--steps", type=int, default=3000, help="batches")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--hidden", type=float, default=HIDDEN, help="weight of the hidden layers")
    parser.add_argument("--shift", type=int, default=2, help="pixels that images are moved by at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=10_000, help="test images used")
    parser.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Row by row; prints the table in the end."""
    table = Table(
        "network", "T", "points lost", "agreement", "SynOps", "images", "minutes", title=f"{args.images:,} images"
    )
    for name in args.names:
        ann = respike.models.load(name)
        calibration, test = data_of(name, args.data_dir)
        judge = Judge(ann, test, args.samples)
        learned = calibration
        if args.images > len(calibration):
            learned = datasets.load(REGISTRY[name].dataset, train=True, data_dir=args.data_dir).tensors[0]
        for t in map(int, args.timesteps.split(",")):
            snn = respike.from_torch(ann, calibration, t, seed=args.seed)
            began = time.monotonic()
            tuned = respike.finetune(
                snn,
                learned,
                steps=args.steps,
                batch_size=args.batch_size,
                learning_rate=args.learning_rate,
                augment=Shifts(args.shift) if args.shift else None,
                hidden=args.hidden,
                seed=args.seed,
            )
            minutes = (time.monotonic() - began) / 60
            before, after = (_judged(judge, network, ann) for network in (snn, tuned))
            parted = _parted(judge, snn, tuned)
            both = before[0], after[0], before[1], after[1], before[2], after[2]
            told = args.images, args.steps, args.batch_size, args.learning_rate, args.hidden
            row = Row(name, t, *told, *both, *parted, minutes, args.samples)
            table.add_row(
                *(name, str(t)),
                f"{row.points_lost_before:.2f} -> {row.points_lost:.2f}",
                f"{row.agreement_before:.2f} -> {row.agreement:.2f}",
                f"{row.synops_before:,.0f} -> {row.synops:,.0f}",
                f"-{row.images_lost} +{row.images_won} (p {row.by_chance:.2g})",
                f"{row.minutes:.1f}",
            )
            yield row
    Console(width=120).print(table)


def _judged(judge: Judge, snn: respike.SpikingNetwork, ann: Any) -> tuple[float, float, float]:
    """Points lost, agreement, synaptic operations of an image."""
    result = respike.evaluate(snn, (judge.images, judge.labels), ann=ann, progress=False)
    assert result.agreement is not None
    lost = judge.accuracy - 100 * float(result.accuracy[-1])
    return lost, 100 * float(result.agreement[-1]), float(result.synops[-1])


def _parted(judge: Judge, before: respike.SpikingNetwork, after: respike.SpikingNetwork) -> tuple[int, int, float]:
    """Images that were right and are wrong now, the reverse, and how often chance parts them so or further.

    The sign test: each of them might have gone either way.
    """
    was, now = (judge.decisions(network) == judge.labels for network in (before, after))
    lost, won = int((was & ~now).sum()), int((now & ~was).sum())
    several = lost + won
    one_side = sum(math.comb(several, k) for k in range(min(lost, won) + 1)) / 2**several
    return lost, won, min(1.0, 2 * one_side)
