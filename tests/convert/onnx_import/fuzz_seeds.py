"""Small valid models that between them use most of what an importer knows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from hostile_build import image, ints, mlp, model, op, rand, scalar
from onnx import ModelProto, TensorProto


def flat(proto: ModelProto) -> ModelProto:
    """With an output whose rank is left to the reader: all of these end in a matrix."""
    del proto.graph.output[0].type.tensor_type.shape.dim[2:]
    return proto


def convnet() -> ModelProto:
    one = np.abs(rand(4)) + 1
    nodes = [
        op("Conv", "x w b", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1], group=1),
        op("BatchNormalization", "c scale shift mean var", "n", epsilon=1e-5),
        op("Relu", "n", "r"),
        op("MaxPool", "r", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=0),
        op("Conv", "p d", "q", group=4, auto_pad="SAME_UPPER"),
        op("Clip", "q low high", "k"),
        op("AveragePool", "k", "a", kernel_shape=[2, 2], strides=[2, 2], count_include_pad=1),
        op("GlobalAveragePool", "a", "g"),
        op("Flatten", "g", "f", axis=1),
        op("Gemm", "f h i", transB=1, alpha=0.5),
    ]
    weights = {"w": rand(4, 3, 3, 3), "b": rand(4), "d": rand(4, 1, 3, 3), "h": rand(2, 4), "i": rand(2)}
    stats = {"scale": one, "shift": rand(4), "mean": rand(4), "var": one}
    caps = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    return flat(image(*nodes, weights={**weights, **stats, **caps}))


def shapes() -> ModelProto:
    """The arithmetic by which exporters spell ``x.view(x.shape[0], -1)`` and the like."""
    nodes = [
        op("Shape", "x", "s"),
        op("Gather", "s zero", "n", axis=0),
        op("Unsqueeze", "n first", "n1"),
        op("Constant", "", "rest", value_ints=[-1]),
        op("Concat", "n1 rest", "to", axis=0),
        op("Reshape", "x to", "f"),
        op("Slice", "s two four", "side"),
        op("ReduceProd", "side", "area", keepdims=0),
        op("Cast", "area", "cast", to=TensorProto.FLOAT),
        op("Sqrt", "cast", "root"),
        op("Div", "f root", "d"),
        op("ConstantOfShape", "n1", "fill", value=onnx.numpy_helper.from_array(np.array([1], np.float32))),
        op("Expand", "fill n1", "wide"),
        op("Unsqueeze", "wide last", "tall"),
        op("Add", "d tall", "sum"),
        op("MatMul", "sum w", "m"),
        op("Relu", "m"),
    ]
    numbers = {"zero": scalar(0), "first": ints(0), "last": ints(1), "two": ints(2), "four": ints(4)}
    return flat(model(*nodes, x=("N", 3, 4, 4), weights={**numbers, "w": rand(48, 5)}))


def upsampled() -> ModelProto:
    nodes = [
        op("Conv", "x w", "c", strides=[2, 2], pads=[1, 1, 1, 1]),
        op("Relu", "c", "r"),
        op(
            "Resize",
            "r - scales",
            "u",
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        op("Pad", "u pads", "p", mode="constant"),
        op("Slice", "p from to axes by", "s"),
        op("Transpose", "s", "t", perm=[0, 2, 3, 1]),
        op("ReduceMean", "t", axes=[1, 2], keepdims=0),
    ]
    numbers = {
        "pads": ints(0, 0, 1, 1, 0, 0, 1, 1),
        "from": ints(0, 9),
        "to": ints(8, -11),
        "axes": ints(2, 3),
        "by": ints(2, -1),
    }
    return flat(image(*nodes, weights={"w": rand(4, 3, 3, 3), "scales": np.array([1, 1, 2, 2], np.float32), **numbers}))


def branched() -> ModelProto:
    nodes = [
        op("Split", "x parts", "a b", axis=1),
        op("LeakyRelu", "a", "l", alpha=0.1),
        op("HardSigmoid", "b", "h", alpha=0.2, beta=0.5),
        op("Concat", "l h x", "c", axis=1),
        op("Reshape", "c to", "g"),
        op("Transpose", "g", "t", perm=[0, 2, 1]),
        op("Squeeze", "t none", "q"),
        op("Mul", "q half", "m"),
        op("Softmax", "m", axis=-1),
    ]
    weights = {"parts": ints(4, 2), "to": ints(0, 12, 1), "none": ints(1), "half": np.array(0.5, np.float32)}
    return flat(model(*nodes, x=("N", 6), weights=weights))


def old() -> ModelProto:
    """What opset 9 wrote: weights among the inputs, arguments as attributes."""
    nodes = [
        op("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        op("Clip", "c", "r", min=0.0, max=6.0),
        op("Upsample", "r scales", "u", mode="nearest"),
        op("Pad", "u", "p", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
        op("ReduceMean", "p", "m", axes=[2, 3], keepdims=1),
        op("Squeeze", "m", "s", axes=[2, 3]),
        op("Dropout", "s", "d", ratio=0.3),
        op("Softmax", "d", axis=1),
    ]
    weights = {"w": rand(4, 3, 3, 3), "scales": np.array([1, 1, 2, 2], np.float32)}
    return flat(image(*nodes, opset=9, weights=weights))


def external(folder: Path) -> Path:
    proto = mlp()
    onnx.save(proto, folder / "external.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return folder / "external.onnx"


@cache
def seeds() -> dict[str, bytes]:
    made = {f.__name__: f().SerializeToString() for f in (mlp, convnet, shapes, upsampled, branched, old)}
    found = sorted((Path(__file__).parent / "fixtures").glob("*.onnx"))
    read = {path.stem: path.read_bytes() for path in found if path.stat().st_size < 50_000}
    return made | {name: data for name, data in read.items() if b"ArrayFeatureExtractor" not in data}  # labels
