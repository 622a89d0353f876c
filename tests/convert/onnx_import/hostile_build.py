"""The bricks of the hostile files: models in one line, and what an entry of the registry is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Made = ModelProto | bytes | Path
Dims = Sequence[int | str | None]

# What a message about something too large may speak of, the number itself among it.
BIG = (
    r"too (large|big|many|long|deep)|larger than|limit|(at|the) most|more than|exceed|overflow|elements|bytes"
    r"|[KMGTP]i?B\b|memory|\d{7}|\d,\d{3},\d{3}"
)
FIT = r"shape|dim|size|broadcast|fit|match|channels|elements|multipl|\d"
MIN, MAX = -(1 << 63), (1 << 63) - 1
UNREADABLE = r"not an? \S*\s?onnx|cannot be (parsed|read)|pars|protobuf|damaged|corrupt|truncated|broken|no graph|empty"


@dataclass(frozen=True)
class Hostile:
    """One file that must not be believed.

    Attributes:
        make: Makes the file in a folder: a model, its bytes, or the path of what was written there.
        says: Expressions that the message of the refusal must all contain, in any case of letters.
        may_load: A reader that copes, within the limits, is as good as one that refuses.
        slow: Takes seconds to make.
    """

    make: Callable[[Path], Made]
    says: tuple[str, ...]
    may_load: bool = False
    slow: bool = False

    def write(self, folder: Path) -> Path:
        return write(self.make(folder), folder)


def bad(make: Callable[[Path], Made], *says: str, **flags: bool) -> Hostile:
    return Hostile(make, says, **flags)


def write(made: Made, folder: Path) -> Path:
    if isinstance(made, Path):
        return made
    path = folder / "model.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return path


def rand(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def scalar(n: int) -> np.ndarray:
    return np.array(n, np.int64)


def op(op_type: str, inputs: str, outputs: str = "y", **attributes: Any) -> NodeProto:
    """A node with its values named in words; ``-`` is an optional one left out."""
    names, made = ["" if name == "-" else name for name in inputs.split()], outputs.split()
    return helper.make_node(
        op_type, names, made, **{"name": "_".join(["the", op_type.lower(), *made[:1]]), **attributes}
    )


def value(name: str, shape: Dims | None, dtype: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    *nodes: NodeProto,
    x: Dims | None = ("N", 3),
    y: str = "y",
    weights: Mapping[str, np.ndarray] | None = None,
    tensors: Sequence[TensorProto] = (),
    inputs: Sequence[ValueInfoProto] | None = None,
    opset: int = 17,
    **fields: Any,
) -> ModelProto:
    """A model of one input ``x`` and the outputs named in ``y``, of which nothing is checked."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", x)] if inputs is None else inputs,
        [value(name, [None] * len(x or ())) for name in y.split()],
        [*tensors, *(numpy_helper.from_array(w, name) for name, w in (weights or {}).items())],
    )
    return helper.make_model(graph, **{"ir_version": 8, "opset_imports": [helper.make_opsetid("", opset)], **fields})


def not_utf8(model: ModelProto, name: str) -> bytes:
    """ONNX is proto2, whose strings are not checked when they are parsed: Python stumbles when it reads them."""
    data = model.SerializeToString()
    assert name.encode() in data
    return data.replace(name.encode(), b"\xff" * len(name))


def mlp(**fields: Any) -> ModelProto:
    """A valid file."""
    nodes = op("MatMul", "x w", "a"), op("Relu", "a", "r"), op("MatMul", "r v")
    return model(*nodes, weights={"w": rand(3, 8), "v": rand(8, 2)}, **fields)


def conv(x: Dims = ("N", 3, 8, 8), w: Sequence[int] = (4, 3, 3, 3), **attributes: Any) -> ModelProto:
    return model(op("Conv", "x w", **attributes), x=x, weights={"w": rand(*w)})


def image(*nodes: NodeProto, **fields: Any) -> ModelProto:
    return model(*nodes, x=("N", 3, 8, 8), **fields)


def unary(op_type: str, *more: str, opset: int = 17, x: Any = ("N", 3, 8, 8), **given: Any) -> ModelProto:
    """``y = f(x, ...)``; arrays are weights, everything else is an attribute."""
    weights = {k: v for k, v in given.items() if isinstance(v, np.ndarray)}
    attributes = {k: v for k, v in given.items() if k not in weights}
    return model(op(op_type, " ".join(["x", *(more or weights)]), **attributes), x=x, opset=opset, weights=weights)


def batch_norm(size: int = 3, y: str = "y", **attributes: Any) -> ModelProto:
    weights = {"scale": rand(3), "shift": rand(3), "mean": rand(size), "var": np.ones(3, np.float32)}
    node = op("BatchNormalization", "x scale shift mean var", y, **attributes)
    return image(node, y="y", weights=weights)
