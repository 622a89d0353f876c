"""Options that several commands share; those of conversion are those of ``respike.from_torch``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .command import option
from .values import Choice, DataName, ModelName, Names, Output, StepsOrAuto

NEURONS = ["auto", "iaf", "lif", "signed", "multi_threshold"]
MODELS_ARE = (
    "MODEL is a reference network (mnist_cnn), torchvision:resnet18, net.onnx, net.respike (what convert -o wrote), "
    "or package.module:callable, a function or class of yours that gives a trained module."
)
DATA_ARE = (
    "Data sets are mnist, fashion_mnist, folder:DIR (a folder for each class), FILE.npz or FILE.safetensors (arrays x "
    "and y); to calibrate with, random:3x64x64 is noise, enough to see whether a network converts."
)


def _several(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(fn: Any) -> Any:
        for decorator in reversed(decorators):
            fn = decorator(fn)
        return fn

    return apply


ONNX = _several(
    option("--outputs", type=Names(), metavar="NAME,NAME,...", part="ONNX", help="Of an ONNX file: values to return."),
    option("--verify", is_flag=True, part="ONNX", help="Hold an ONNX file's numbers against onnxruntime's."),
)
JSON = option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")
FIGURE = option("-o", "--output", type=Output(), metavar="FILE", help="Write a figure here (png, svg, pdf).")
MODEL_AND_DATA = _several(
    option(
        "--weights", type=click.Path(path_type=Path), part="Model and data", help="State dict, .safetensors or .pt."
    ),
    ONNX,
    option(
        "--calibration",
        type=DataName(),
        part="Model and data",
        help="Inputs to calibrate with; of a reference network by default the data set it was trained on.",
    ),
    option(
        "--data-dir",
        type=click.Path(path_type=Path),
        part="Model and data",
        help="Where torchvision's data sets lie or go.",
    ),
    option(
        "--image-size",
        default=224,
        type=click.IntRange(1, 2**16),
        part="Model and data",
        help="Of folder: data sets, in pixels.",
    ),
)
MODEL = _several(click.argument("model", type=ModelName()), MODEL_AND_DATA)
TEST = _several(
    option(
        "--data",
        type=DataName(),
        part="Model and data",
        help="Test data; of a reference network by default the data set it was trained on.",
    ),
    option(
        "--ann", type=ModelName(), part="Model and data", help="With net.respike: the network that it was made from."
    ),
)
BATCH_SIZE = option(
    "--batch-size", default=100, type=click.IntRange(1, 2**31), part="Evaluation", help="Samples at a time."
)
ENERGY_NAMES = {"45nm": "ENERGY_45NM", "45nm-int8": "ENERGY_45NM_INT8", "45nm-memory": "ENERGY_45NM_MEMORY"}
"""What the models of ``respike.evaluation`` are called."""
ENERGY = option(
    "--energy",
    type=Choice(list(ENERGY_NAMES)),
    default="45nm",
    part="Evaluation",
    help="Energy of each operation: in float32, with 8-bit weights, or with memory.",
)
CONVERSION = _several(
    option(
        "-T",
        "--timesteps",
        type=StepsOrAuto(),
        metavar="T|auto",
        default="16",
        part="Conversion",
        help="Timesteps to calibrate for; auto finds the cheapest that decide as the ANN, and the neuron. "
        "Of net.respike: how many to run.",
    ),
    option(
        "--judge",
        type=Choice(["auto", "decision", "error"]),
        default="auto",
        part="Conversion",
        help="How outputs are judged: by what they decide, or by the error of their values; auto finds it out.",
    ),
    option(
        "--within",
        type=float,
        part="Conversion",
        help="Tolerance of -T auto: percentage points of agreement (0.5), or percent of relative error (5).",
    ),
    option(
        "--prefer",
        type=Choice(["synops", "latency"]),
        default="synops",
        part="Conversion",
        help="What -T auto makes small.",
    ),
    option(
        "--threshold",
        type=Choice(["mse", "max", "percentile"]),
        default="mse",
        part="Conversion",
        help="Thresholds by the least squared error at T, or by the ANN's activations.",
    ),
    option("--percentile", default=99.9, part="Conversion", help="For --threshold percentile."),
    option(
        "--granularity",
        type=Choice(["channel", "layer"]),
        default="channel",
        part="Conversion",
        help="What has a threshold of its own.",
    ),
    option(
        "--neuron",
        type=Choice(NEURONS),
        default="auto",
        part="Conversion",
        help="auto is iaf, and with -T auto all but lif are tried.",
    ),
    option("--tau-mem", default=20.0, part="Conversion", help="Time constant of lif, in timesteps."),
    option("--levels", default=4, part="Conversion", help="Weights of a spike of multi_threshold."),
    option(
        "--max-spikes",
        default=1,
        type=click.IntRange(max=2**16),
        part="Conversion",
        help="Most spikes of a neuron in one timestep.",
    ),
    option(
        "--schedule",
        type=Choice(["synchronous", "layerwise", "pipelined"]),
        default="synchronous",
        part="Conversion",
        help="Whether layers run at once, wait for their whole input, or start one after the other.",
    ),
    option("--delay", default=1, part="Conversion", help="Head start of each layer, for --schedule pipelined."),
    option(
        "--correction",
        type=Choice(["none", "bias", "ridge"]),
        default="ridge",
        part="Conversion",
        help="What may change so that what arrives gives what the ANN has: nothing, biases, weights too.",
    ),
    option(
        "--precision",
        type=Choice(["float32", "bfloat16", "int8"]),
        default="float32",
        part="Conversion",
        help="Number format in which synapses compute; spikes are exact in all.",
    ),
    option("--analog", multiple=True, part="Conversion", help="Module to keep analog; may be given several times."),
    option("--samples", default=512, part="Conversion", help="Most calibration samples used."),
    option(
        "--seed",
        default=0,
        part="Conversion",
        help="Random seed for the sample order.",
    ),
)
CONVERSION_NAMES = [
    "timesteps",
    "judge",
    "within",
    "prefer",
    "threshold",
    "percentile",
    "granularity",
    "neuron",
    "tau_mem",
    "max_spikes",
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
