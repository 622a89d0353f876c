"""How the cost of a step grows with the number of timesteps, the batch and the width of the network.

    python scripts/benchmark.py growth
    python scripts/benchmark.py growth --figure growth.png --csv growth.csv

Time per image and step ÷ the ANN's float32 forward per image, both of the same network, layout as given, at the same
batch; processor time over all threads, the median of the rounds' ratios. T and batch grow with the MNIST CNN, which is
calibrated for T = 16; widths are those of networks like it with random weights, calibrated on the same images. The test
images of MNIST are run.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from speed_cases import in_each_precision, in_turns
from torch import Tensor, nn

import respike
from respike.convert.errors import ConversionWarning
from respike.convert.options import PRECISIONS
from respike.figures.style import GREY, save, tidy
from respike.models import datasets

USUAL, BATCH = 16, 100
T = (1, 2, 4, 16, 64, 256)
BATCHES = (1, 10, 100, 1000)
WIDTHS = (8, 16, 32, 64, 128, 256)
"""Channels of the first of three layers; the others have twice as many."""


class Row(NamedTuple):
    """What a step costs in passes of the ANN, and how often a neuron fires in one."""

    grows: str
    size: int
    precision: str
    ratio: float
    lowest: float
    highest: float
    rate: float


def add_to(commands: Any) -> None:
    """The subcommand ``growth``."""
    parser = commands.add_parser(
        "growth",
        help="what a step costs against T, batch and width",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--grows", nargs="+", choices=["T", "batch", "width"], default=["T", "batch", "width"])
    usual = f"instead of {T} timesteps, {BATCHES} images, {WIDTHS} channels"
    parser.add_argument("--sizes", type=_size, nargs="+", metavar="N", help=usual)
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text}")
    return int(text)


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Row by row; prints the table in the end."""
    images = datasets.load("mnist").tensors[0]
    found: list[Row] = []
    for grows in args.grows:
        for size in args.sizes or {"T": T, "batch": BATCHES, "width": WIDTHS}[grows]:
            rows = list(_measured(grows, size, images, args.repeats))
            yield from rows
            found += rows
    table = Table("grows", "", *PRECISIONS, "fire in a step", title="time of a step ÷ a pass of the ANN")
    for grows, size in dict.fromkeys((row.grows, row.size) for row in found):
        rows = [row for row in found if (row.grows, row.size) == (grows, size)]
        cells = [f"{row.ratio:.2f} ({row.lowest:.2f} to {row.highest:.2f})" for row in rows]
        table.add_row(grows, f"{size}", *cells, f"{rows[0].rate:.1%}")
    Console(width=120).print(table)
    if args.figure is not None:
        _draw(found, args.figure)


def _measured(grows: str, size: int, images: Tensor, repeats: int) -> Iterator[Row]:
    ann = _like_the_cnn(size) if grows == "width" else respike.models.load("mnist_cnn")
    batch = size if grows == "batch" else BATCH
    steps = size if grows == "T" else USUAL
    x, calibration = images[:batch], datasets.calibration()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore", ConversionWarning)  # nobody is to use what random weights compute
        snns = in_each_precision(respike.from_torch(ann, calibration, USUAL))
        result = respike.evaluate(
            snns["float32"], (images[:BATCH], torch.zeros(BATCH).long()), timesteps=steps, progress=False
        )
        for snn in snns.values():
            snn.timesteps = steps
        trials: dict[str, Callable[[], object]] = {p: partial(snn, x) for p, snn in snns.items()}
        ratios = in_turns(partial(ann, x), trials, repeats, time.process_time)
    rate = float(result.spikes[-1]) / sum(layer.neurons for layer in result.layers) / steps
    for p, each in ratios.items():
        each = [ratio / steps for ratio in each]
        yield Row(grows, size, p, statistics.median(each), min(each), max(each), rate)


def _like_the_cnn(width: int) -> nn.Module:
    """Three blocks of convolution, ReLU and max-pool, random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for c_in, c_out in ((1, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(18 * width, 10)).eval()


def _draw(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    told = {"T": "timesteps", "batch": "images at once", "width": "channels of the first layer"}
    grown = list(dict.fromkeys(row.grows for row in rows))
    figure = Figure(figsize=(3.6 * len(grown), 3.4), layout="constrained")
    panels = figure.subplots(1, len(grown), sharey=True, squeeze=False)[0]
    for axes, grows in zip(panels, grown, strict=True):
        of_it = [row for row in rows if row.grows == grows]
        for p, color in zip(PRECISIONS, ("C0", "C1", "C2"), strict=True):
            line = [(row.size, row.ratio) for row in of_it if row.precision == p]
            axes.plot(*zip(*line, strict=True), "o-", color=color, markersize=4, label=p)
        sizes = list(dict.fromkeys(row.size for row in of_it))
        axes.axhline(1, color=GREY, linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel=told[grows])
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
        tidy(axes)
    panels[0].set_ylabel("time of a step ÷ a pass of the ANN")
    panels[-1].legend(frameon=False, fontsize="small")
    save(figure, path)
