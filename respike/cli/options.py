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
    "or package.module:callable, a function or class of yours that gives a trained module."
)
DATA_ARE = (
    "Data sets are mnist, fashion_mnist, folder:DIR (a folder for each class), FILE.npz or FILE.safetensors (arrays x "
    "and y); to calibrate with, random:3x64x64 is noise, enough to see whether a network converts."
)


def several(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(fn: Any) -> Any:
        for decorator in reversed(decorators):
            fn = decorator(fn)
        return fn

    return apply


ONNX = several(
    option("--outputs", type=Names(), metavar="NAME,NAME,...", part="ONNX", help="Of an ONNX file: values to return."),
    option("--verify", is_flag=True, part="ONNX", help="Hold an ONNX file's numbers against onnxruntime's."),
)
JSON = option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")
FIGURE = option("-o", "--output", type=Output(), metavar="FILE", help="Write a figure here (png, svg, pdf).")
MODEL_AND_DATA = several(
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
MODEL = several(click.argument("model", type=ModelName()), MODEL_AND_DATA)
TEST = several(
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
