"""What synapses cost that add up events, against the share of inputs that are active.

    python scripts/benchmark.py synapses
    python scripts/benchmark.py synapses --figure synapses.png

Spikes are sent in 8 bits, as the engine sends them, and weights are float32. The unit is the dense convolution of the
same spikes in float32, channels last, by torch, in one thread, as the engine runs a piece of a batch; the median of the
rounds' ratios of the thread's processor time. Each is called several times in a row, so that it finds its inputs in the
caches, as a layer finds what the one before has just sent, and room for its outputs, as neurons fire at them while they
are there; --calls 1: as whatever ran last has left them. A layer is named by its inputs, outputs, kernel and map.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from speed_cases import in_turns
from torch import Tensor

from respike.figures.style import GREY, save, tidy
from respike.layers import kernels

LAYERS = {  # inputs, outputs, side of the kernel, side of the map, images
    "16 to 16, 3x3, 28x28": (16, 16, 3, 28, 50),
    "32 to 32, 3x3, 28x28": (32, 32, 3, 28, 50),
    "32 to 64, 3x3, 14x14": (32, 64, 3, 14, 100),
    "64 to 64, 3x3, 14x14": (64, 64, 3, 14, 100),
    "128 to 128, 3x3, 7x7": (128, 128, 3, 7, 100),
    "512 to 512, 3x3, 7x7": (512, 512, 3, 7, 10),
    "128 to 128, 1x1, 14x14": (128, 128, 1, 14, 100),
    "1024 to 128, linear": (1024, 128, 1, 1, 1600),
}
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class Row(NamedTuple):
    """A layer at a share of active inputs, in percent; what events cost ÷ what the dense convolution costs."""

    layer: str
    active: float
    ratio: float
    lowest: float
    highest: float
    pays: bool


def add_to(commands: Any) -> None:
    """The subcommand ``synapses``."""
    parser = commands.add_parser(
        "synapses",
        help="synapses that add up events, against dense ones",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    told = "in quotation marks: " + "; ".join(LAYERS)
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), choices=list(LAYERS), metavar="LAYER", help=told)
    parser.add_argument("--repeats", type=int, default=9, help="rounds")
    parser.add_argument("--calls", type=int, default=100, help="in a row")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Row by row; prints the table in the end."""
    torch.set_num_threads(1)
    table = Table("layer", "used", *(f"{100 * share:g} %" for share in SHARES), "2 % / 20 %", title="time / dense")
    found: list[Row] = []
    for name in args.layers:
        rows = [_measured(name, share, args.repeats, args.calls) for share in SHARES]
        yield from rows
        at = {row.active: row.ratio for row in rows}
        cells = [f"{row.ratio:.2f} ({row.lowest:.2f} to {row.highest:.2f})" for row in rows]
        table.add_row(name, "yes" if rows[0].pays else "no", *cells, f"{at[2] / at[20]:.2f}")
        found += rows
    Console(width=200).print(table)
    if args.figure is not None:
        _draw(found, args.figure)


@torch.no_grad()
def _measured(name: str, share: float, repeats: int, calls: int) -> Row:
    inputs, outputs, kernel, side, images = LAYERS[name]
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(outputs, inputs, kernel, kernel, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    spikes = (torch.rand(images, inputs, side, side, generator=generator) < share).float()
    spikes, dense = (x.contiguous(memory_format=torch.channels_last) for x in (spikes, weight))
    sent = spikes.to(torch.int8)
    padding = kernel // 2
    geometry = (1, 1), (padding, padding), (1, 1), 1
    apply = kernels.event_synapses(weight, bias, *geometry)

    def convolve() -> Tensor:
        if side == 1:
            return F.linear(spikes.flatten(1), weight.flatten(1), bias)
        return F.conv2d(spikes, dense, bias, padding=padding)

    def often(work: Callable[[], object]) -> None:
        for _ in range(calls):
            work()  # what it gives is let go, so that the next call finds that memory in the caches

    trials = {"events": lambda: often(lambda: apply(sent))}
    ratios = in_turns(lambda: often(convolve), trials, repeats, time.thread_time)["events"]
    pays = not kernels.why_dense(weight, *geometry)
    return Row(name, 100 * share, statistics.median(ratios), min(ratios), max(ratios), pays)


def _draw(rows: list[Row], path: Path) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(8.5, 4.6), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row.layer for row in rows))
    for i, name in enumerate(names):
        of_layer = [row for row in rows if row.layer == name]
        axes.plot(
            [row.active for row in of_layer],
            [row.ratio for row in of_layer],
            "o-" if of_layer[0].pays else "o:",
            color=colormaps["viridis"](i / len(names)),
            label=name if of_layer[0].pays else f"{name} (stays dense)",
        )
    axes.axhline(1, color=GREY, linewidth=1)
    axes.set(
        xscale="log", yscale="log", xlabel="inputs that are active in a step", ylabel="time ÷ that of a dense layer"
    )
    axes.xaxis.set_major_locator(FixedLocator([100 * share for share in SHARES]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.yaxis.set_major_locator(FixedLocator([0.05, 0.1, 0.2, 0.5, 1, 2, 5]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    tidy(axes)
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    save(figure, path)
