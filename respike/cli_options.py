"""What the commands take: options that several share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

NEURONS = ["auto", "iaf", "lif", "signed", "multi_threshold"]


def steps(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """Comma-separated numbers of timesteps."""
    try:
        steps = [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers such as 4,8,16") from None
    if min(steps) < 1:
        raise click.BadParameter("timesteps must be 1 or more")
    return sorted(set(steps))


def steps_or_auto(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    """One number of timesteps, or the word."""
    if value == "auto":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor auto") from None


def shape(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """Lengths with an x between them."""
    if value is None:
        return None
    try:
        return [int(n) for n in value.split("x")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not of the form 3x64x64") from None


def names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Comma-separated names."""
    return None if value is None else [name for name in value.split(",") if name]


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(fn: Any) -> Any:
        for decorator in reversed(decorators):
            fn = decorator(fn)
        return fn

    return apply


ONNX = _options(
    click.option("--outputs", callback=names, metavar="NAME,NAME,...", help="Of an ONNX file: values to return."),
    click.option("--verify", is_flag=True, help="Hold an ONNX file's numbers against onnxruntime's."),
)
OUT = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the figure here.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
MODEL = _options(
    click.argument("model"),
    click.option("--weights", type=click.Path(path_type=Path), help="State dict, .safetensors or .pt."),
    ONNX,
    click.option("--calibration", default="mnist", show_default=True, help="Inputs to calibrate with."),
    click.option("--data-dir", type=click.Path(path_type=Path), help="Where torchvision's data sets lie or go."),
    click.option("--image-size", default=224, show_default=True, help="Of folder: data sets, in pixels."),
)
CONVERSION = _options(
    click.option(
        "-T",
        "--timesteps",
        callback=steps_or_auto,
        metavar="T|auto",
        default="16",
        show_default=True,
        help="Timesteps to calibrate for; auto finds the cheapest that decide as the ANN, and the neuron.",
    ),
    click.option(
        "--within",
        default=0.5,
        show_default=True,
        help="Points of agreement that -T auto and --precision auto may miss.",
    ),
    click.option(
        "--prefer",
        type=click.Choice(["synops", "latency"]),
        default="synops",
        show_default=True,
        help="What -T auto makes small.",
    ),
    click.option("--threshold", type=click.Choice(["mse", "max", "percentile"]), default="mse", show_default=True),
    click.option("--percentile", default=99.9, show_default=True, help="For --threshold percentile."),
    click.option("--granularity", type=click.Choice(["channel", "layer"]), default="channel", show_default=True),
    click.option(
        "--neuron",
        type=click.Choice(NEURONS),
        default="auto",
        show_default=True,
        help="auto is iaf, and with -T auto all but lif are tried.",
    ),
    click.option("--tau-mem", default=20.0, show_default=True, help="Time constant of lif, in timesteps."),
    click.option("--levels", default=4, show_default=True, help="Weights of a spike of multi_threshold."),
    click.option("--max-spikes", default=1, show_default=True, help="Most spikes of a neuron in one timestep."),
    click.option(
        "--budget",
        type=float,
        help="Times the SynOps that are needed anyway: spend them on more spikes for the layers that gain most.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["synchronous", "layerwise", "pipelined"]),
        default="synchronous",
        show_default=True,
    ),
    click.option("--delay", default=1, show_default=True, help="Head start of each layer, for --schedule pipelined."),
    click.option("--correction", type=click.Choice(["none", "bias", "ridge"]), default="ridge", show_default=True),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16", "int8", "auto"]),
        default="float32",
        show_default=True,
        help="In what synapses compute; spikes are exact in all. auto takes the fastest that decides as float32.",
    ),
    click.option("--analog", multiple=True, help="Module to keep analog; may be given several times."),
    click.option("--samples", default=512, show_default=True, help="Most calibration samples used."),
    click.option("--seed", default=0, show_default=True),
)
CONVERSION_NAMES = [
    "timesteps",
    "within",
    "prefer",
    "threshold",
    "percentile",
    "granularity",
    "neuron",
    "tau_mem",
    "max_spikes",
    "budget",
    "levels",
    "schedule",
    "delay",
    "correction",
    "precision",
    "analog",
    "samples",
    "seed",
]
"""The options of ``CONVERSION``, which are those of ``respike.from_torch``."""
