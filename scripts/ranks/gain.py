"""What several processes gain, and what memory a stream of samples takes.

    python scripts/benchmark.py ranks
    python scripts/benchmark.py ranks --network mnist_cnn -T 16 --samples 5000 --rounds 5
    python scripts/benchmark.py stream --samples 1000000

``ranks``: in each round one process evaluates all samples, then two ranks of one group share them, then two programs
that know nothing of each other evaluate one half each; all with one thread a process, one after the other. Printed are
the times of the last two ÷ that of one process, for each round and the median. Processes begin the clock together, when
they have loaded everything, so that what is compared is the work. What two programs gain is what the machine allows.
Behind it stands the same for the processor time of the busier of the two: what they would take on two cores that
nothing else uses.

``stream``: generated samples go through ``respike.evaluate`` of a small network, one batch after the other. Printed is
the memory that the process holds (RSS) when a tenth of them, and when all, have been seen.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn

import respike
from respike.models import REGISTRY, datasets
from respike.progress import Progress

WIDTH, CLASSES = 16, 4
"""Of the small network's input and output."""


def add_to(commands: Any) -> None:
    """The subcommands ``ranks`` and ``stream``."""
    form = argparse.RawTextHelpFormatter
    ranks = commands.add_parser("ranks", help="what two processes gain", description=__doc__, formatter_class=form)
    ranks.add_argument("--network", choices=sorted(REGISTRY), default="fashion_resnet")
    ranks.add_argument("-T", "--timesteps", type=int, default=4)
    ranks.add_argument("--samples", type=int, default=2000, help="of the test images of MNIST")
    ranks.add_argument("--rounds", type=int, default=3)
    ranks.set_defaults(run=compare)
    stream = commands.add_parser("stream", help="memory of a stream", description=__doc__, formatter_class=form)
    stream.add_argument("--samples", type=int, default=1_000_000)
    stream.add_argument("--batch-size", type=int, default=1000)
    stream.set_defaults(run=memory)


def compare(args: argparse.Namespace) -> None:
    """Prints how long two ranks and two programs take, beside one process."""
    images, labels = datasets.load("mnist").tensors
    images, labels = images[: args.samples], labels[: args.samples]
    ann = respike.models.load(args.network)
    snn = respike.from_torch(ann, datasets.calibration()[:128], args.timesteps)
    halves = [(images[k::2], labels[k::2]) for k in (0, 1)]
    cases = {"two ranks": ([(images, labels)] * 2, True), "two programs": (halves, False)}
    ratios: dict[str, list[float]] = {f"{name}, {kind}": [] for kind in ("time", "processor time") for name in cases}
    for _ in range(args.rounds):
        one = _timed(snn, ann, [(images, labels)], False)
        for name, (shares, grouped) in cases.items():
            two = _timed(snn, ann, shares, grouped)
            for k, kind in enumerate(("time", "processor time")):
                ratios[f"{name}, {kind}"].append(two[k] / one[k])
    print(f"{args.network}, T = {args.timesteps}, {args.samples:,} samples, one thread a process; ÷ one process")
    for name, found in ratios.items():
        rounds = ", ".join(f"{x:.3f}" for x in found)
        print(f"{name}: {statistics.median(found):.3f} (rounds: {rounds})")


def _timed(
    snn: respike.SpikingNetwork, ann: nn.Module, shares: list[tuple[Tensor, Tensor]], grouped: bool
) -> tuple[float, float]:
    """Seconds until the last of some processes has evaluated its share, and processor time of the busiest."""
    context = multiprocessing.get_context("spawn")
    ready, found = context.Barrier(len(shares) + 1), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        meet = str(Path(folder) / "meet") if grouped else None
        processes = [
            context.Process(target=_evaluate, args=(snn, ann, share, rank, len(shares), meet, ready, found))
            for rank, share in enumerate(shares)
        ]
        for process in processes:
            process.start()
        ready.wait()
        begun = time.perf_counter()
        ends = [found.get() for _ in processes]
        taken = time.perf_counter() - begun
        for process in processes:
            process.join()
    return taken, max(ends)


def _evaluate(
    snn: respike.SpikingNetwork,
    ann: nn.Module,
    share: tuple[Tensor, Tensor],
    rank: int,
    size: int,
    meet: str | None,
    ready: Any,
    found: Any,
) -> None:
    torch.set_num_threads(1)
    if meet is not None:
        dist.init_process_group(
            "gloo", init_method=f"file://{meet}", rank=rank, world_size=size, timeout=timedelta(seconds=600)
        )
    with respike.alone():  # kernels are chosen and compiled
        respike.evaluate(snn, (share[0][:200], share[1][:200]), ann=ann, progress=False)
    ready.wait()
    begun = time.process_time()
    respike.evaluate(snn, share, ann=ann, progress=False)
    found.put(time.process_time() - begun)
    if meet is not None:
        dist.destroy_process_group()


class Watching(Progress):
    """Notes how much memory the process holds when so many samples have been seen."""

    def __init__(self, marks: list[int]) -> None:
        self.marks, self.held = marks, dict[int, int]()

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """As ``Progress.report``."""
        for mark in self.marks:
            if done >= mark and mark not in self.held:
                self.held[mark] = psutil.Process(os.getpid()).memory_info().rss


def memory(args: argparse.Namespace) -> None:
    """Prints the memory after a tenth and after all of the samples."""
    held = held_by(args.samples, args.batch_size)
    first, last = (held[mark] for mark in sorted(held))
    for mark in sorted(held):
        print(f"RSS after {mark:,} samples: {held[mark] / 2**20:,.1f} MiB")
    print(f"all ÷ a tenth: {last / first:.3f}")


def held_by(samples: int, batch_size: int) -> dict[int, int]:
    """Bytes that the process holds after a tenth of a stream and after all of it, by the number of samples."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, CLASSES)).eval()
    snn = respike.from_torch(model, torch.rand(256, WIDTH), timesteps=4)
    watching = Watching([samples // 10, samples])
    respike.evaluate(snn, _stream(samples, batch_size), ann=model, progress=watching)
    return watching.held


def _stream(samples: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    for start in range(0, samples, batch_size):
        n = min(batch_size, samples - start)
        yield torch.rand(n, WIDTH, generator=generator), torch.randint(CLASSES, (n,), generator=generator)
