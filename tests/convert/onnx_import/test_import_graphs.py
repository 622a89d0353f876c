"""Graphs of unusual form, and what a loaded network is."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from small_graphs import X, op, save, weights

from respike.convert import ConversionError, load_onnx, verify_onnx


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
