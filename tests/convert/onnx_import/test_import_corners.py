"""Labels, computed pads and single rows, where a wrong result would pass unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from small_graphs import X, op, save, weights

from respike.convert import ConversionError, load_onnx, verify_onnx
from respike.convert.onnx_import.choose_outputs import suggested


def with_ml(path: Path, *again: tuple[str, int]) -> Path:
    """The file, with ONNX's operators for machine learning and more declarations of operator sets."""
    model = onnx.load(path)
    model.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in (("ai.onnx.ml", 3), *again))
    onnx.save(model, path)
    return path


def test_an_operator_set_may_be_declared_again_but_not_differently(tmp_path: Path) -> None:
    """skl2onnx writes some twice, and onnxruntime runs that."""
    nodes = [op("Relu", "x", "y")]
    path = with_ml(save(tmp_path, nodes, {}), ("", 17))
    assert verify_onnx(load_onnx(path), path) == 0
    with pytest.raises(ConversionError, match=r"declares 2 different opsets of 'ai\.onnx'"):
        load_onnx(with_ml(save(tmp_path, nodes, {}), ("ai.onnx", 16)))


@pytest.mark.parametrize("places", [[1, 4, 5], [[2], [0]]])
def test_columns_are_selected(places: list[Any], tmp_path: Path) -> None:
    """How skl2onnx writes a selection of features."""
    nodes = [op("ArrayFeatureExtractor", "x p", "c", domain="ai.onnx.ml"), op("Relu", "c", "y")]
    path = with_ml(save(tmp_path, nodes, {"p": np.array(places)}))
    net = load_onnx(path)
    assert torch.equal(net(X), X[:, np.ravel(places)].relu())
    assert verify_onnx(net, path) == 0


@pytest.mark.parametrize("names", [np.array([3, 5, 8]), np.array(["a", "b", "c"], dtype=object)], ids=["int", "text"])
def test_labels_for_a_computed_place_are_left_to_the_user(names: np.ndarray, tmp_path: Path) -> None:
    nodes = [
        op("MatMul", "x w", "scores"),
        op("ArgMax", "scores", "place", axis=1),
        op("ArrayFeatureExtractor", "names place", "y", "to labels", domain="ai.onnx.ml"),
    ]
    path = with_ml(save(tmp_path, nodes, {"w": weights(6, 3), "names": names}, outputs=("y", "scores")))
    with pytest.raises(ConversionError, match=r"turns numbers into labels.*\n?.*to labels"):
        load_onnx(path)
    assert suggested(onnx.load(path).graph) == ["scores"]
    torch.testing.assert_close(load_onnx(path, outputs=["scores"])(X), X @ torch.from_numpy(weights(6, 3)))


def test_nothing_is_suggested_where_there_is_no_network_before_the_labels(tmp_path: Path) -> None:
    """Not the input either, which would be a network that does nothing."""
    path = with_ml(save(tmp_path, [op("Scaler", "x", "s", domain="ai.onnx.ml"), op("Unheard", "x", "y")], {}))
    assert suggested(onnx.load(path).graph) == []


def test_text_is_no_number(tmp_path: Path) -> None:
    text = {"t": np.array(["a"], dtype=object)}
    with pytest.raises(ConversionError, match=r"reads text \('t', of .*has no place in a network.*\n?.*compared"):
        load_onnx(save(tmp_path, [op("Equal", "x t", "e", "compared"), op("Not", "e", "y")], text))
    with pytest.raises(ConversionError, match="the output 't' is text, not numbers"):
        load_onnx(save(tmp_path, [op("Relu", "x", "y")], text, outputs=("y", "t")))


@pytest.mark.parametrize(("length", "mode"), [(4, "constant"), (6, "constant"), (5, "reflect")])
def test_pads_that_are_computed_from_shapes(length: int, mode: str, tmp_path: Path) -> None:
    """As Keras pads what a transposed convolution left over: here, to a length of 8."""
    nodes = [
        op("Shape", "x", "shape", start=1),
        op("Sub", "eight shape", "missing"),
        op("Concat", "zero zero zero missing", "pads", axis=0),
        op("Pad", "x pads", "p", mode=mode),
        op("Relu", "p", "y"),
    ]
    path = save(tmp_path, nodes, {"eight": np.array([8]), "zero": np.array([0])}, x=["N", length])
    net, x = load_onnx(path), X[:, :length]
    assert net(x).shape == (7, 8)
    assert verify_onnx(net, path, (x,)) == 0


def test_computed_pads_have_the_limit_of_fixed_ones(tmp_path: Path) -> None:
    nodes = [
        op("Shape", "x", "shape", start=1),
        op("Mul", "shape many", "missing"),
        op("Concat", "zero zero zero missing", "pads", axis=0),
        op("Pad", "x pads", "y", "wide"),
    ]
    with pytest.raises(ConversionError, match=r"wide.*65,?536"):
        load_onnx(save(tmp_path, nodes, {"many": np.array([20_000]), "zero": np.array([0])}))


@pytest.mark.parametrize("bias", [[], ["c"]])
def test_a_gemm_of_a_vector_gives_one_row(bias: list[str], tmp_path: Path) -> None:
    """As onnxruntime has it: exporters write a Gemm behind a squeeze that takes a batch of one away."""
    nodes = [op("Squeeze", "x", "s"), op("Gemm", " ".join(["s", "w", *bias]), "g"), op("Relu", "g", "y")]
    path = save(tmp_path, nodes, {"w": weights(6, 3), "c": weights(3, seed=1)})
    net = load_onnx(path)
    assert net(X[:1]).shape == (1, 3)
    for x in (X[:1], X):
        assert verify_onnx(net, path, (x,)) < 1e-6
