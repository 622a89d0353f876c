"""Views of other strides, as ``torch.onnx`` spells them: reshapes where the values stay in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_graphs import op, save, weights

from respike.convert import load_onnx, verify_onnx
from respike.convert.sample_axis import apart
from respike.convert.tracing.normal_form import prepare, to_graph


def viewed(path: Path, stride: int, places: list[int], behind: bool = False) -> Path:
    """``y = relu(x.as_strided((batch, len(places), 1), ...) @ w)``, for x of six features."""
    nodes = [
        op("Shape", "x", "s", start=0, end=1),
        op("Squeeze", "s", "n"),
        op("Range", "zero n one", "r"),
        op("Mul", "r stride", "m"),
        op("Unsqueeze", "m axes", "u"),
        op("Add", "places u" if behind else "u places", "a"),
        op("Add", "a nothing", "i"),
        op("Reshape", "x flat", "v"),
        op("Gather", "v i", "g", "view"),
        op("Transpose", "g", "t", perm=[0, 2, 1]),
        op("MatMul", "t w", "z"),
        op("Relu", "z", "y"),
    ]
    constants: dict[str, Any] = {
        "zero": np.array(0),
        "one": np.array(1),
        "stride": np.array(stride),
        "axes": np.array([1, 2]),
        "flat": np.array([-1]),
        "places": np.array(places).reshape(1, -1, 1),
        "nothing": np.zeros((1, 1, 1), np.int64),
        "w": weights(len(places), 3),
    }
    return save(path, nodes, constants)


@pytest.mark.parametrize("behind", [False, True])
def test_values_in_their_order_are_a_reshape_of_any_batch(behind: bool, tmp_path: Path) -> None:
    path = viewed(tmp_path, 6, list(range(6)), behind)
    net, x = load_onnx(path), torch.randn(5, 6)
    torch.testing.assert_close(net(x), torch.relu(x @ torch.from_numpy(weights(6, 3)))[:, None])
    assert verify_onnx(net, path) < 1e-5
    graph = to_graph(prepare(net), (x,))
    assert apart(graph)
    assert not any("index" in node.op or "gather" in node.op for node in graph.nodes)


@pytest.mark.parametrize(("stride", "places"), [(6, [0, 2, 4]), (6, [0, 1, 2]), (3, [0, 1, 2, 3, 4, 5])])
def test_values_in_another_order_are_gathered(stride: int, places: list[int], tmp_path: Path) -> None:
    path = viewed(tmp_path, stride, places)
    net, x = load_onnx(path), torch.randn(5, 6)
    found = x.as_strided((5, len(places)), (stride, places[1] - places[0]))
    torch.testing.assert_close(net(x), torch.relu(found @ torch.from_numpy(weights(len(places), 3)))[:, None])
