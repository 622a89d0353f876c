"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .command import option
from .values import Choice, DataName, ModelName, Names, Output

MODELS_ARE = (
    "MODEL is a reference network (mnist_cnn), torchvision:resnet18, net.onnx, net.respike (what convert -o wrote), "
    "or package.module:callable, a function or class of yours that returns a trained module."
)
DATA_ARE = (
    "Data sets are mnist, fashion_mnist, mnist_events (mnist_events:60 as 60 frames), folder:DIR (a folder for each "
    "class), FILE.npz or FILE.safetensors (arrays x and y); for calibration, random:3x64x64 is noise, enough to check "
    "whether a network converts."
)


def several(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(fn: Any) -> Any:
        for decorator in reversed(decorators):
            fn = decorator(fn)
        return fn

    return apply


ONNX = several(
    option(
        "--outputs",
        type=Names(),
        metavar="NAME,NAME,...",
        part="ONNX",
        help="ONNX files: names of the outputs to return.",
    ),
    option("--verify", is_flag=True, part="ONNX", help="ONNX files: compare the outputs with onnxruntime's."),
)
JSON = option("--json", "as_json", is_flag=True, help="Print JSON, and only JSON, to stdout.")
FIGURE = option("-o", "--output", type=Output(), metavar="FILE", help="Write a figure to this file (png, svg, pdf).")
MODEL_AND_DATA = several(
    option(
        "--weights",
        type=click.Path(path_type=Path),
        part="Model and data",
        help="State dict to load, .safetensors or .pt.",
    ),
    ONNX,
    option(
        "--calibration",
        type=DataName(),
        part="Model and data",
        help="Inputs to calibrate with; by default, the data set that a reference network was trained on.",
    ),
    option(
        "--data-dir",
        type=click.Path(path_type=Path),
        part="Model and data",
        help="Directory for torchvision's data sets.",
    ),
    option(
        "--image-size",
        default=224,
        type=click.IntRange(1, 2**16),
        part="Model and data",
        help="Side length of images from folder: data sets, in pixels.",
    ),
)
MODEL = several(click.argument("model", type=ModelName()), MODEL_AND_DATA)
TEST = several(
    option(
        "--data",
        type=DataName(),
        part="Model and data",
        help="Test data; by default, the data set that a reference network was trained on.",
    ),
    option(
        "--ann",
        type=ModelName(),
        part="Model and data",
        help="For net.respike: the network that it was converted from.",
    ),
)
BATCH_SIZE = option(
    "--batch-size", default=100, type=click.IntRange(1, 2**31), part="Evaluation", help="Samples per batch."
)
ANN_ON = option(
    "--ann-on",
    type=Choice(["mean", "frames"]),
    default="mean",
    part="Evaluation",
    help="Inputs that move: compare with the ANN on the mean of the frames, or with the mean of its outputs on each.",
)
ENERGY_NAMES = {"45nm": "ENERGY_45NM", "45nm-int8": "ENERGY_45NM_INT8", "45nm-memory": "ENERGY_45NM_MEMORY"}
"""What the models of ``respike.evaluation`` are called."""
ENERGY = option(
    "--energy",
    type=Choice(list(ENERGY_NAMES)),
    default="45nm",
    part="Evaluation",
    help="Energy model: float32, 8-bit weights, or float32 with memory access.",
)
RESUME = option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE",
    part="Evaluation",
    help="Keep in this file how far the work is; if it is there, go on from it. Conversion has a file FILE.conversion.",
)
