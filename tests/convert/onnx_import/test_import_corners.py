"""Corners of the importer where a wrong result would pass unnoticed, most of them held against onnxruntime."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from small_graphs import X, op, save, weights

from respike.convert import ConversionError, ConversionWarning, load_onnx, verify_onnx
from respike.convert.onnx_import.choose_outputs import suggested


@pytest.mark.parametrize("kept", ["a", "b", "c"])
def test_a_split_of_which_one_part_is_read(kept: str, tmp_path: Path) -> None:
    nodes = [op("Split", "x", "a b c", axis=1, num_outputs=3), op("Relu", kept, "y")]
    net = load_onnx(save(tmp_path, nodes, {}, opset=18))
    assert torch.equal(net(X), X.chunk(3, 1)["abc".index(kept)].relu())


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_nodes_stand_in_any_order(order: tuple[int, ...], tmp_path: Path) -> None:
    """The standard wants them sorted; onnxruntime sorts them itself, and such files are about."""
    nodes = [op("MatMul", "x w", "a"), op("Relu", "a", "h"), op("MatMul", "h v", "y")]
    constants = {"w": weights(6, 5), "v": weights(5, 3, seed=1)}
    expected = load_onnx(save(tmp_path, nodes, constants))(X)
    path = save(tmp_path, [nodes[i] for i in order], constants)
    assert torch.equal(load_onnx(path)(X), expected)
    assert verify_onnx(load_onnx(path), path) < 1e-6


def test_nodes_in_a_circle_are_named(tmp_path: Path) -> None:
    nodes = [op("Relu", "x", "r", "ahead"), op("Add", "r c", "a", "one"), op("Neg", "a", "b", "two")]
    path = save(tmp_path, [*nodes, op("Abs", "b", "c", "three"), op("Relu", "c", "y", "behind")], {})
    with pytest.raises(ConversionError, match="wait for each other, in a circle") as caught:
        load_onnx(path)
    assert all(name in str(caught.value) for name in ("'one'", "'two'", "'three'"))
    assert "'ahead'" not in str(caught.value) and "'behind'" not in str(caught.value)
    with pytest.raises(ConversionError, match=r"'alone' \(Add\) reads 'y', which it writes itself"):
        load_onnx(save(tmp_path, [op("Add", "x y", "y", "alone")], {}))


def test_an_output_needs_no_type(tmp_path: Path) -> None:
    path = save(tmp_path, [op("Relu", "x", "y")], {})
    model = onnx.load(path)
    model.graph.output[0].ClearField("type")
    onnx.save(model, path)
    assert torch.equal(load_onnx(path)(X), X.relu())
    assert verify_onnx(load_onnx(path), path) == 0


def in_float64(path: Path, constants: dict[str, np.ndarray]) -> Path:
    """``x * s + b`` in a file of float64."""
    save(path, [op("Mul", "x s", "m"), op("Add", "m b", "y")], constants)
    model = onnx.load(path / "net.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.save(model, path / "net.onnx")
    return path / "net.onnx"


@pytest.mark.parametrize(
    ("s", "b", "lost"),
    [
        (1e300, 0.0, r"the weight 's' is float64.*1 of its numbers become infinite.*largest is 1e\+300"),
        (1.0, 3e-42, r"the weight 'b' is float64.*lose digits or become 0.*smallest is 3e-42"),
        (1.0, 1 / 3, ""),  # rounded in its last digit, as all of float32 is
    ],
)
def test_what_float32_loses_of_a_files_float64_is_said_once(s: float, b: float, lost: str, tmp_path: Path) -> None:
    path = in_float64(tmp_path, {"s": np.array(s), "b": np.array(b)})
    if not lost:
        net = load_onnx(path)
        assert verify_onnx(net, path) < 1e-6
        with pytest.warns(ConversionWarning, match=r"input 'x' is float64.*infinite"):
            net(torch.full((1, 6), 1e200, dtype=torch.float64))
        return
    with pytest.warns(ConversionWarning, match=lost) as caught:
        net = load_onnx(path)
    assert len(caught) == 1
    if s > 1:
        with pytest.raises(ConversionError, match="differs from onnxruntime's by inf"):
            verify_onnx(net, path, (X,))


def test_verify_sees_what_cancels_in_float32(tmp_path: Path) -> None:
    """A time in seconds less another: seven digits of each are not enough."""
    path = in_float64(tmp_path, {"s": np.array(1.0), "b": np.array(-1.7e9)})
    with pytest.raises(ConversionError, match=r"differs from onnxruntime's.*float64"):
        verify_onnx(load_onnx(path), path, (X.double() + 1.7e9,))


def test_yes_or_no_is_0_or_1(tmp_path: Path) -> None:
    path = save(tmp_path, [op("ReduceMean", "x", "y", axes=[1], keepdims=7)], {}, opset=13)
    with pytest.raises(ConversionError, match="keepdims = 7"):
        load_onnx(path)


MIXING = {
    "softmax over the batch": [op("Softmax", "x", "y", axis=0)],
    "its mean over everything": [op("ReduceMean", "x", "m"), op("Sub", "x m", "y")],
    "its first sample": [op("Gather", "x zero", "f", axis=0), op("Mul", "x f", "y")],
    "attention": [
        op("Transpose", "x", "t"),
        op("MatMul", "x t", "s"),
        op("Softmax", "s", "p"),
        op("MatMul", "p x", "y"),
    ],
}


@pytest.mark.parametrize("name", MIXING)
def test_a_fixed_batch_whose_samples_meet_stays_fixed(name: str, tmp_path: Path) -> None:
    net = load_onnx(save(tmp_path, MIXING[name], {"zero": np.array(0)}, x=[3, 6]))
    assert net.batch == 3


@pytest.mark.parametrize("length", [10, 27, 63])
def test_lengths_are_rounded_from_float32_as_runtimes_do(length: int, tmp_path: Path) -> None:
    """10 times 0.7 is 7 in float32 and below it in float64."""
    runtime = pytest.importorskip("onnxruntime")
    nodes = [op("Shape", "x", "s"), op("Gather", "s three", "w"), op("Cast", "w", "f", to=1), op("Mul", "f scale", "g")]
    nodes += [op("Floor", "g", "h"), op("Cast", "h", "i", to=7), op("Slice", "s zero three1", "head")]
    nodes += [op("Unsqueeze", "i zero", "u"), op("Concat", "head u", "sizes", axis=0)]
    nodes += [op("Resize", "x", "y", mode="linear"), op("Resize", "x", "z", mode="nearest")]
    nodes[-2].input[:] = ["x", "", "", "sizes"]
    nodes[-1].input[:] = ["x", "", "scales"]
    constants = {"three": np.array(3), "scale": np.array(0.7, np.float32), "zero": np.array([0])}
    constants |= {"three1": np.array([3]), "scales": np.array([1, 1, 1, 0.7], np.float32)}
    path = save(tmp_path, nodes, constants, x=["N", 1, 2, length], outputs=("y", "z"))
    x = torch.rand(2, 1, 2, length)
    expected = runtime.InferenceSession(str(path)).run(None, {"x": x.numpy()})
    for found, wanted in zip(load_onnx(path)(x), expected, strict=True):
        torch.testing.assert_close(found, torch.from_numpy(wanted))


def test_a_table_cut_to_the_inputs_length_is_data(tmp_path: Path) -> None:
    nodes = [op("Shape", "x", "s", start=1, end=2), op("Slice", "table zero s one", "t"), op("Add", "x t", "y")]
    constants = {"table": weights(1, 9, 700), "zero": np.array([0]), "one": np.array([1])}
    net = load_onnx(save(tmp_path, nodes, constants, x=["N", "L", 700]))
    x = torch.rand(2, 5, 700)
    torch.testing.assert_close(net(x), x + torch.from_numpy(weights(1, 9, 700))[:, :5])


def test_a_loaded_network_is_a_module_like_any_other(tmp_path: Path) -> None:
    nodes = [op("Gemm", "x w one", "a"), op("Relu", "a", "h"), op("Shape", "h", "s"), op("Mul", "s two", "d")]
    nodes += [op("Div", "d two", "e"), op("Reshape", "h e", "y")]
    path = save(tmp_path, nodes, {"w": weights(6, 5), "one": weights(1), "two": np.array(2)})
    net = load_onnx(path)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(X), net(X))
    other = load_onnx(path)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(X), net(X))
    net(X).square().mean().backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    assert not torch.equal(other(X), net(X))


def test_narrow_whole_numbers_may_be_cast_and_not_computed_with(tmp_path: Path) -> None:
    for nodes, works in (
        ([op("Cast", "x", "f", to=1), op("Relu", "f", "y")], True),
        ([op("Sub", "x x", "f"), op("Cast", "f", "y", to=1)], False),
    ):
        path = save(tmp_path, nodes, {})
        model = onnx.load(path)
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
        onnx.save(model, path)
        if works:
            images = torch.randint(0, 256, (4, 6), dtype=torch.uint8)
            assert torch.equal(load_onnx(path)(images), images.float())
            assert verify_onnx(load_onnx(path), path) == 0
        else:
            with pytest.raises(ConversionError, match="wrap around"):
                load_onnx(path)


@pytest.mark.parametrize("start", [-100, -6, -1, 0, 3, 99])
@pytest.mark.parametrize("end", [-100, -5, 0, 4])
def test_slices_that_go_backwards(start: int, end: int, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    bounds = {"a": np.array([start]), "b": np.array([end]), "one": np.array([1]), "back": np.array([-1])}
    path = save(tmp_path, [op("Slice", "x a b one back", "y")], bounds)
    (expected,) = runtime.InferenceSession(str(path)).run(None, {"x": X.numpy()})
    torch.testing.assert_close(load_onnx(path)(X), torch.from_numpy(expected))


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
