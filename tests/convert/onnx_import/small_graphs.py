"""Small ONNX files, written node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

X = torch.rand(7, 6, generator=torch.Generator().manual_seed(0)) - 0.5


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def save(
    path: Path,
    nodes: list[Any],
    constants: dict[str, np.ndarray],
    x: list[Any] | None = None,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
) -> Path:
    shape = ["N", 6] if x is None else x
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path / "net.onnx")
    return path / "net.onnx"


def op(kind: str, inputs: str, output: str, name: str = "", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), output.split(), name, **attributes)


def mlp(path: Path, **options: Any) -> Path:
    nodes = [
        op("MatMul", "x w", "a", "first"),
        op("Add", "b a", "z", "its bias"),
        op("Relu", "z", "h", "layer/one:relu"),
        op("MatMul", "h v", "y", "last"),
    ]
    return save(path, nodes, {"w": weights(6, 5), "b": weights(5, seed=1), "v": weights(5, 3, seed=2)}, **options)
