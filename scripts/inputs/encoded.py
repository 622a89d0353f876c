"""How the error of a network falls with T where an encoder makes events of its input.

    python scripts/benchmark.py encoders
    python scripts/benchmark.py encoders --figure encoders.png --csv encoders.csv

The MNIST MLP, without correction, thresholds 1.5 times those of least squared error at T = 16, on the images that
calibrated it, so that nothing is clipped and what is left falls with T: the relative error of its outputs, and the
slope of a straight line through it in a plot of logarithms, which is -0.5 for 1/sqrt(T) and -1 for 1/T. "constant" is
the input held still, without an encoder. SynOps per image and step, those of the input's events by themselves too.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import respike
from respike.convert.options import EncoderName
from respike.convert.options.encoding import OF_FRAMES
from respike.figures.style import save, tidy
from respike.models import datasets

NETWORK = "mnist_mlp"
T = (16, 32, 64, 128, 256, 512, 1024)
CONSTANT = "constant"
KEPT = [name for name in get_args(EncoderName) if name not in OF_FRAMES | {"latency"}]
"""Encoders whose mean over time is the value."""


class Row(NamedTuple):
    """The error after T steps, and synaptic operations per image and step: of the input's events, and of all."""

    encoder: str
    T: int
    error: float
    input_synops: float
    synops: float


def add_to(commands: Any) -> None:
    """The subcommand ``encoders``."""
    parser = commands.add_parser(
        "encoders",
        help="the error against T with an encoder in front",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--encoders", nargs="+", choices=[CONSTANT, *KEPT], default=[CONSTANT, *KEPT])
    parser.add_argument("-T", "--timesteps", default=",".join(map(str, T)), help="comma-separated, two or more")
    parser.add_argument("--samples", type=int, default=256, help="images used")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Row by row; prints the table in the end."""
    model, calibration = respike.models.load(NETWORK), datasets.calibration()[: args.samples]
    images = calibration
    snn = respike.from_torch(model, calibration, T[0], correction="none")
    for layer in snn.layers().values():
        layer.threshold = layer.threshold * 1.5
    steps = [int(t) for t in args.timesteps.split(",")]
    with torch.no_grad():
        wanted = model(images)
    found: list[Row] = []
    for encoder in args.encoders:
        made = snn if encoder == CONSTANT else snn.encoded(respike.Encoding(encoder, scale=1.0))
        made.timesteps = T[0]
        result = respike.evaluate(made, (images, wanted.argmax(1)), progress=False)
        alone, every = (
            sum(float(x.synops[-1]) for x in result.layers if x.kind in kinds) / T[0]
            for kinds in (("input",), ("input", "spike", "max"))
        )  # in a step: that depends little on T
        for t in steps:
            made.timesteps = t
            found.append(Row(encoder, t, float((made(images) - wanted).norm() / wanted.norm()), alone, every))
            yield found[-1]
    table = Table(
        "input", *[f"T = {t}" for t in steps], "slope", "SynOps a step", "of the input", title="relative error"
    )
    for encoder in args.encoders:
        rows = [row for row in found if row.encoder == encoder]
        errors = [f"{row.error:.4f}" for row in rows]
        table.add_row(encoder, *errors, f"{slope(rows):.2f}", f"{rows[0].synops:,.0f}", f"{rows[0].input_synops:,.0f}")
    Console(width=140).print(table)
    if args.figure is not None:
        _draw(found, args.figure)


def slope(rows: list[Row]) -> float:
    """Of the least squares line through log(error) against log(T); NaN of a single row."""
    if len(rows) < 2:
        return math.nan
    found = np.polyfit(np.log([row.T for row in rows]), np.log([row.error for row in rows]), 1)
    return float(found[0])


def _draw(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, encoder in enumerate(dict.fromkeys(row.encoder for row in rows)):
        own = [row for row in rows if row.encoder == encoder]
        label = f"{encoder.replace('_', ' ')}: slope {slope(own):.2f}"
        axes.plot([r.T for r in own], [r.error for r in own], "o-", color=f"C{number}", markersize=4, label=label)
    steps = list(dict.fromkeys(row.T for row in rows))
    axes.set(xscale="log", yscale="log", xlabel="timesteps", ylabel="relative error of the outputs")
    axes.xaxis.set_major_locator(FixedLocator(steps))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.xaxis.set_minor_locator(NullLocator())
    tidy(axes)
    axes.legend(frameon=False, fontsize="small")
    save(figure, path)
