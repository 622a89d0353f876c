"""Is a conversion by several processes that of one, and what do they gain?

    python scripts/ranks/conversion.py --data-dir data
    python scripts/ranks/conversion.py mnist_cnn --processes 2 --data-dir data

Each process has one thread. Networks are compared number by number, and all spikes of all layers on test images one by
one. Times are those of the conversion alone, in units of one process without a group. As many processes that each
convert alone, side by side, say what the machine gives: ``alone`` is the time of one of them in the same units, so that
nothing can be quicker than ``alone`` divided by the number of processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch.multiprocessing import get_context
from torch.multiprocessing.spawn import spawn

import respike
from respike.convert import ConversionWarning
from respike.convert.identity import digest_of_network
from respike.models import datasets
from respike.sealed_file import digest
from respike.text import table

AT_ONCE = 50
"""Test images that are run at once."""


class Found(NamedTuple):
    """Of one process: seconds, and digests of its network and of all spikes."""

    seconds: float
    network: str
    spikes: str


def converted(options: argparse.Namespace) -> Found:
    """A conversion in this process, by itself or with all of its group."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConversionWarning)
    source = respike.models.REGISTRY[options.model].dataset
    model = respike.models.load(options.model)
    train = datasets.load(source, train=True, data_dir=options.data_dir)
    test = datasets.load(source, data_dir=options.data_dir)
    respike.from_torch(model, train, 2, samples=16)  # compiles the kernels
    begun = time.perf_counter()
    snn = respike.from_torch(model, train, options.timesteps, samples=options.samples)
    seconds = time.perf_counter() - begun
    spikes = []
    for start in range(0, options.images, AT_ONCE):
        seen = snn.record(test[start : min(start + AT_ONCE, options.images)][0])
        spikes.append(digest(seen.spikes, seen.output))
    return Found(seconds, digest_of_network(snn), digest(spikes))


def _member(rank: int, size: int, meet: str, results: Any, options: argparse.Namespace) -> None:
    if meet:
        dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=size)
    results.put(tuple(converted(options)))
    if meet:
        dist.destroy_process_group()


def together(size: int, options: argparse.Namespace, group: bool = True) -> list[Found]:
    """What so many processes find, as one group or each by itself."""
    with tempfile.TemporaryDirectory() as folder:
        results = get_context("spawn").SimpleQueue()
        meet = str(Path(folder, "meet")) if group else ""
        spawn(_member, (size, meet, results, options), nprocs=size)
        return [Found(*results.get()) for _ in range(size)]


def main(args: list[str] | None = None) -> int:
    """Convert in several ways and compare; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="fashion_resnet")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("-T", "--timesteps", type=int, default=16)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--data-dir", default="data")
    options = parser.parse_args(args)
    (wanted,) = together(1, options, group=False)
    rows: list[tuple[str, ...]] = [("processes", "network", "spikes", "time", "alone")]
    differs = False
    for size in options.processes:
        found = together(size, options)
        beside = together(size, options, group=False)
        network, spikes = (all(getattr(x, name) == getattr(wanted, name) for x in found) for name in Found._fields[1:])
        differs |= not (network and spikes)
        times = [max(x.seconds for x in several) / wanted.seconds for several in (found, beside)]
        told = ["equal" if same else "differs" for same in (network, spikes)]
        rows.append((str(size), *told, *(f"{ratio:.2f}" for ratio in times)))
    print("\n".join(table(rows)))
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
