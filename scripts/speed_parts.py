"""The parts of ``speed.py`` in which ours stands alone: memory, profile and the scan."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from speed_cases import NETWORKS, USUAL, Case, Row, ann_of, in_turns, seconds
from torch.utils._python_dispatch import TorchDispatchMode

import respike
from respike.convert.options import PRECISIONS, Precision
from respike.layers import kernels
from respike.layers.kernels import Drive, Rule, Send
from respike.models import REGISTRY

LONG = 256
STATUS = Path("/proc/self/status")


def memory(case: Case) -> Iterator[Row]:
    """Peak memory, each in a process of its own."""
    for p in PRECISIONS:
        for t in sorted({max(case.args.timesteps)} | ({LONG} if case.name in REGISTRY else set())):
            line = Row("memory", case.name, f"ours, {p}", t, "MiB above torch loaded")
            if not STATUS.exists():
                yield line._replace(note=f"not measured: this system has no {STATUS}")
                continue
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                task = pool.submit(peak, case.name, p, t, len(case.x), torch.get_num_threads())
                above, added = task.result()
            yield line._replace(value=above)
            yield line._replace(measure="of it the run, at most", value=added)


def peak(name: str, precision: Precision, timesteps: int, batch: int, threads: int) -> tuple[float, float]:
    """MiB that a conversion and a run take at most above what the process has taken by now, and the run's part."""

    def taken(key: str) -> float:
        # Not ru_maxrss: a process starts with that of the one that started it.
        return next(int(line.split()[1]) / 1024 for line in STATUS.read_text().splitlines() if line.startswith(key))

    torch.set_num_threads(threads)
    loaded = taken("VmHWM")
    x = torch.rand(batch, *NETWORKS[name][0])
    snn = respike.from_torch(ann_of(name), x[:8], USUAL)
    snn.precision, snn.timesteps = precision, timesteps
    before = taken("VmRSS")
    snn(x)
    return taken("VmHWM") - loaded, taken("VmHWM") - before


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch works in the calling thread alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Stopwatch(TorchDispatchMode):
    """Seconds spent in linear operations, scans and pooling, of what one thread does meanwhile."""

    LINEAR = frozenset(("mm", "addmm", "bmm", "baddbmm", "linear", "_int_mm"))

    def __init__(self) -> None:
        super().__init__()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._running = False

    def clock(self, kind: str, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """``work``, its time booked under ``kind`` unless it is part of something that is booked already."""
        if self._running:
            return work(*args, **kwargs)
        start, self._running = time.perf_counter(), True
        try:
            return work(*args, **kwargs)
        finally:
            self.seconds[kind] += time.perf_counter() - start
            self._running = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition("::")[2].partition(".")[0]
        linear = name in self.LINEAR or "conv" in name
        if linear or "pool" in name or name == "mean":
            return self.clock("linear" if linear else "pooling", func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


KERNELS = {"scan": "scan", "pooled_scan": "scan", "pooled_increments": "pooling"}
"""Where the time of a kernel is booked; one that fires and pools counts as a scan."""


def profile(case: Case) -> Iterator[Row]:
    """Shares of a run in one thread, the calling one; the rest moves and converts values, and is Python."""
    for p in PRECISIONS:
        run, watch = case.ours(p, USUAL), Stopwatch()
        timed: dict[str, Any] = {k: partial(watch.clock, booked, getattr(kernels, k)) for k, booked in KERNELS.items()}
        with one_thread():
            seconds(run)
            with patch.multiple(kernels, **timed), watch:
                total = sum(seconds(run) for _ in range(case.args.repeats))
        watch.seconds["rest"] = total - sum(watch.seconds.values())
        for kind in ("linear", "scan", "pooling", "rest"):
            yield Row("profile", case.name, f"ours, {p}", USUAL, f"{kind}, %", 100 * watch.seconds[kind] / total)


def scan(args: argparse.Namespace) -> Iterator[Row]:
    """The scan alone, which works in the thread that calls it, so the copy has one, too."""
    theta = torch.ones(32, 1, 1)
    images = torch.rand(USUAL * 100, 32, 28, 28).contiguous(memory_format=torch.channels_last)
    values = images.unflatten(0, (USUAL, 100))
    there = torch.empty_like(values)
    copies = {"into new memory": values.clone, "into memory that is there": partial(there.copy_, values)}
    fused = partial(kernels.scan, Rule(), Drive(values, USUAL), theta, (theta / 2,), Send(theta))
    for name, copied in copies.items():
        with one_thread():
            ratios = in_turns(copied, {"scan": fused}, args.repeats)["scan"]
        yield Row("scan", "", "fused scan", USUAL, f"÷ copy {name}").of(ratios)
