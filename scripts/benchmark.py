"""What conversion loses, in one table: codes and corrections against timesteps, for the reference networks.

    python scripts/benchmark.py accuracy mnist_cnn
    python scripts/benchmark.py accuracy fashion_resnet --data-dir data -T 2,4,8,16

Each row is a network calibrated anew for its T on 512 unlabelled training images and judged on the test images:
points of accuracy below the ANN, agreement with the ANN, spikes and synaptic operations per image, latency of a
decision in timesteps. The rows called "(T+1)-value ANN" are the schedule ``layerwise``, which computes exactly the ANN
with every ReLU quantised to T + 1 values: what rate coding alone costs, with nothing arriving unevenly.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import Dataset, Subset

import respike
from respike.models import REGISTRY, datasets

CALIBRATION = 512
CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "signed": {"neuron": "signed"},
    "bursts of 4": {"max_spikes": 4},
    "multi-threshold": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
    "(T+1)-value ANN": {"schedule": "layerwise"},
}
CORRECTIONS = ("none", "bias", "ridge")


def data_of(name: str, data_dir: Path | None) -> tuple[Tensor, Dataset[Any]]:
    """Calibration images, drawn from the training images with seed 0, and the test images."""
    source = REGISTRY[name].dataset
    test = datasets.load(source, data_dir=data_dir)
    if source == "mnist" and data_dir is None:
        return datasets.calibration(), test
    train = datasets.load(source, train=True, data_dir=data_dir)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:CALIBRATION]
    return torch.stack([train[int(i)][0] for i in chosen]), test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    accuracy = commands.add_parser("accuracy", help="codes and corrections against timesteps")
    accuracy.add_argument("names", nargs="*", default=sorted(REGISTRY), help="reference networks; all by default")
    accuracy.add_argument("-T", "--timesteps", default="1,2,4,8,16,32", help="comma-separated")
    accuracy.add_argument("--codes", nargs="*", default=list(CODES), choices=list(CODES))
    accuracy.add_argument("--corrections", nargs="*", default=["bias", "ridge"], choices=CORRECTIONS)
    accuracy.add_argument("--samples", type=int, default=10_000, help="test images used")
    accuracy.add_argument("--data-dir", type=Path, help="where torchvision's data sets lie or go")
    args = parser.parse_args()
    for name in args.names:
        table_of(name, args)


def table_of(name: str, args: argparse.Namespace) -> None:
    """Prints one network's table, a row as soon as it is there."""
    console = Console(width=120)
    ann = respike.models.load(name)
    calibration, test = data_of(name, args.data_dir)
    test = Subset(test, range(args.samples))
    table = Table("code", "correction", "T", "points lost", "agreement", "spikes", "SynOps", "latency", title=name)
    reached = None
    for code in args.codes:
        for correction in args.corrections:
            for t in map(int, args.timesteps.split(",")):
                snn = respike.from_torch(ann, calibration, t, correction=correction, **CODES[code])
                result = respike.evaluate(snn, test, ann=ann)
                reached = result.ann_accuracy
                assert reached is not None and result.agreement is not None
                lost = 100 * (reached - result.accuracy[-1])
                cells = (f"{lost:.2f}", f"{100 * result.agreement[-1]:.2f} %", f"{result.spikes[-1]:,.0f}")
                row = (code, correction, str(t), *cells, f"{result.synops[-1]:,.0f}", str(snn.latency))
                console.print(" | ".join(row), style="dim")
                table.add_row(*row)
    console.print(table)
    console.print(f"ANN: {100 * (reached or 0):.2f} % of {args.samples:,} test images")


if __name__ == "__main__":
    main()
