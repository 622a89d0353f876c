"""What the importer makes of small graphs: fused, folded, pruned, freed from the batch size, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from small_graphs import X, mlp, op, save, weights
from torch import nn

import respike
from respike.convert import ConversionError, load_onnx, normal_form, verify_onnx
from respike.convert.tracing.normal_form import prepare, to_graph


def operators(net: nn.Module) -> list[str]:
    return [step.op_type for step in net.steps()]


def test_a_product_and_a_constant_sum_are_one_linear_layer(tmp_path: Path) -> None:
    net = load_onnx(mlp(tmp_path))
    assert operators(net) == ["MatMul", "Relu", "MatMul"]
    assert net.fates == {"its bias": "bias of first"}
    expected = torch.relu(X @ torch.from_numpy(weights(6, 5)) + torch.from_numpy(weights(5, seed=1)))
    torch.testing.assert_close(net(X), expected @ torch.from_numpy(weights(5, 3, seed=2)))
    assert {name: tuple(p.shape) for name, p in net.named_parameters()} == {
        "first.weight": (5, 6),
        "first.bias": (5,),
        "last.weight": (3, 5),
    }


def test_a_product_that_is_read_twice_is_not_fused(tmp_path: Path) -> None:
    nodes = [op("MatMul", "x w", "a"), op("Add", "a b", "z"), op("Add", "z a", "y")]
    net = load_onnx(save(tmp_path, nodes, {"w": weights(6, 5), "b": weights(5)}))
    assert operators(net) == ["MatMul", "Add", "Add"]
    torch.testing.assert_close(net(X), 2 * (X @ torch.from_numpy(weights(6, 5))) + torch.from_numpy(weights(5)))


@pytest.mark.parametrize("shape", [(1, 5), (2, 1, 5), (5, 1), (7, 5), (1,)])
def test_sums_of_other_shapes_broadcast_as_they_should(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = torch.rand(5, 6) if shape == (5, 1) else X
    nodes = [op("MatMul", "x w", "a"), op("Add", "a b", "y")]
    net = load_onnx(save(tmp_path, nodes, {"w": weights(6, 5), "b": weights(*shape)}, x=[len(x), 6]))
    torch.testing.assert_close(net(x), x @ torch.from_numpy(weights(6, 5)) + torch.from_numpy(weights(*shape)))


def test_what_depends_on_constants_alone_is_computed_at_import(tmp_path: Path) -> None:
    nodes = [op("Transpose", "w", "t", perm=[1, 0]), op("Mul", "t two", "u"), op("Gemm", "x u", "y", transB=1)]
    net = load_onnx(save(tmp_path, nodes, {"w": weights(6, 5), "two": np.array(2.0, np.float32)}))
    assert operators(net) == ["Gemm"]
    assert set(net.fates.values()) == {"constant"}
    torch.testing.assert_close(net(X), 2 * X @ torch.from_numpy(weights(6, 5)))


def test_outputs_are_chosen_and_the_rest_is_not_looked_at(tmp_path: Path) -> None:
    nodes = [op("Relu", "x", "h"), op("NonZero", "h", "y"), op("Neg", "h", "n")]
    path = save(tmp_path, nodes, {}, outputs=("y", "n"))
    with pytest.raises(ConversionError, match=r"NonZero_1 \(NonZero\)"):
        load_onnx(path)
    assert torch.equal(load_onnx(path, outputs=["n"])(X), -X.relu())
    both = load_onnx(path, outputs=["h", "n"])(X)
    assert isinstance(both, tuple) and torch.equal(both[0], X.relu()) and torch.equal(both[1], -X.relu())
    with pytest.raises(ConversionError, match=r"'nowhere'; its outputs are y, n"):
        load_onnx(path, outputs=["nowhere"])


def test_all_that_is_unknown_is_listed_with_its_own_name(tmp_path: Path) -> None:
    nodes = [op("NonZero", "x", "a", "one/first"), op("Relu", "x", "h"), op("Unique", "h", "y", "the second")]
    path = save(tmp_path, nodes, {}, outputs=("y", "a"))
    with pytest.raises(ConversionError) as caught:
        load_onnx(path)
    assert {r.where for r in caught.value.refusals} == {"one/first (NonZero)", "the second (Unique)"}


def test_the_converter_names_nodes_as_the_file_does(tmp_path: Path) -> None:
    path = mlp(tmp_path)
    snn = respike.from_onnx(path, X, 8)
    assert "layer/one:relu (Relu)" in snn.summary()
    nodes = [op("MatMul", "x w", "a"), op("Relu", "a", "r"), op("MatMul", "r u", "b"), op("Elu", "b", "e", "my/elu.1")]
    nodes += [op("Relu", "e", "h"), op("MatMul", "h v", "y")]
    path = save(tmp_path, nodes, {"w": weights(6, 5), "u": weights(5, 5), "v": weights(5, 3)})
    assert "my/elu.1 (Elu)" in respike.from_onnx(path, X, 8).summary()
    kept = respike.from_onnx(path, X, 8, analog=["my/elu.1"])
    assert kept.as_dict()["analog"] == ["my/elu.1 (Elu)"]


def relu6(opset: int) -> tuple[list[Any], dict[str, np.ndarray]]:
    if opset < 11:
        return [op("Clip", "s", "h", "clip", min=0.0, max=6.0)], {}
    bounds = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    return [op("Clip", "s low high", "h", "clip")], bounds


@pytest.mark.parametrize("opset", [6, 10, 11, 13, 17, onnx.defs.onnx_opset_version()])
def test_clip_becomes_neurons_with_its_bound_as_highest_threshold(opset: int, tmp_path: Path) -> None:
    clip, bounds = relu6(opset)
    path = save(
        tmp_path, [op("MatMul", "x w", "s"), *clip], {"w": 30 * weights(6, 5), **bounds}, ("N", 6), ("h",), opset
    )
    net = load_onnx(path)
    torch.testing.assert_close(net(X), (X @ (30 * torch.from_numpy(weights(6, 5)))).clamp(0, 6))
    graph = normal_form(net, (X,))
    (relu,) = [n for n in graph.nodes if n.op == "respike.relu"]
    assert relu.kwargs == {"cap": 6.0} and relu.path == "clip"


def test_the_clip_of_a_hard_swish_is_no_activation(tmp_path: Path) -> None:
    clip, bounds = relu6(17)
    nodes = [op("Relu", "x", "r"), op("MatMul", "r w", "a"), op("Add", "a three", "s"), *clip]
    nodes += [op("Mul", "a h", "m", "gate")]
    nodes += [op("Div", "m six", "d"), op("MatMul", "d v", "y")]
    constants = {"w": weights(6, 5), "v": weights(5, 3), "three": np.array(3.0, np.float32), **bounds}
    path = save(tmp_path, nodes, {**constants, "six": np.array(6.0, np.float32)})
    z = X.relu() @ torch.from_numpy(weights(6, 5))
    torch.testing.assert_close(load_onnx(path)(X), nn.functional.hardswish(z) @ torch.from_numpy(weights(5, 3)))
    graph = to_graph(prepare(load_onnx(path)), (X,))
    assert [n.path for n in graph.nodes if n.op == "aten.hardswish.default"] == ["gate"]
    assert [n.kwargs for n in graph.nodes if n.op == "respike.relu"] == [{}]


def flattening(path: Path, batch: Any, shape: list[int]) -> Path:
    nodes = [op("Conv", "x k", "c"), op("Relu", "c", "h"), op("Reshape", "h s", "f"), op("MatMul", "f w", "y")]
    constants = {"k": weights(4, 2, 3, 3), "s": np.array(shape), "w": weights(16, 3)}
    return save(path, nodes, constants, x=[batch, 2, 4, 4])


@pytest.mark.parametrize(("batch", "shape"), [(1, [1, 16]), (1, [1, -1]), (1, [-1, 16]), (3, [3, 16]), ("N", [0, -1])])
def test_a_file_with_a_fixed_batch_takes_any(batch: Any, shape: list[int], tmp_path: Path) -> None:
    path = flattening(tmp_path, batch, shape)
    net = load_onnx(path)
    x = torch.rand(9, 2, 4, 4)
    assert net.batch is None
    k, w = torch.from_numpy(weights(4, 2, 3, 3)), torch.from_numpy(weights(16, 3))
    torch.testing.assert_close(net(x), nn.functional.conv2d(x, k).relu().flatten(1) @ w)
    assert respike.from_onnx(path, x, 4)(x[:5]).shape == (5, 3)


def test_a_file_that_mixes_its_batch_says_so(tmp_path: Path) -> None:
    nodes = [op("Reshape", "x s", "r"), op("MatMul", "r w", "y")]
    net = load_onnx(save(tmp_path, nodes, {"s": np.array([2, 9]), "w": weights(9, 3)}, x=[3, 6]))
    assert net.batch == 3
    assert net(torch.rand(3, 6)).shape == (2, 3)
    with pytest.raises(ConversionError, match=r"wants the shape \(3, 6\), got \(4, 6\); export it with a batch axis"):
        net(torch.rand(4, 6))


def test_shapes_that_contradict_are_found_at_import_by_the_nodes_name(tmp_path: Path) -> None:
    path = save(tmp_path, [op("MatMul", "x w", "y", "product")], {"w": weights(5, 3)})
    with pytest.raises(ConversionError, match=r"node 'product' \(MatMul\) cannot run on \(2, 6\)"):
        load_onnx(path)


def test_inputs_of_another_shape_or_number_are_refused(tmp_path: Path) -> None:
    net = load_onnx(mlp(tmp_path))
    for args in ((), (X, X), (X[:, :5],), (X[0],), ("x",)):
        with pytest.raises(ConversionError, match=r"takes 1 input|wants the shape|must be a tensor"):
            net(*args)


def test_weights_in_a_file_beside_it(tmp_path: Path) -> None:
    expected = load_onnx(mlp(tmp_path))(X)
    model = onnx.load(tmp_path / "net.onnx")
    onnx.save(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.bin", size_threshold=0)
    assert (tmp_path / "big.bin").stat().st_size > 100
    assert torch.equal(load_onnx(tmp_path / "big.onnx")(X), expected)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_float_types_become_float32(kind: Any, tmp_path: Path) -> None:
    path = mlp(tmp_path)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(kind), tensor.name))
    code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = code
    onnx.save(model, path)
    net = load_onnx(path)
    assert net(X.to(torch.float64)).dtype == torch.float32
    assert verify_onnx(net, path) < 1e-2


def test_two_inputs_and_a_module_inside_another(tmp_path: Path) -> None:
    nodes = [op("Concat", "x z", "c", axis=1), op("MatMul", "c w", "a"), op("Relu", "a", "y", "the relu")]
    path = save(tmp_path, nodes, {"w": weights(12, 5)})
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 6]))
    onnx.save(model, path)
    snn = respike.from_onnx(path, [(X, 2 * X)], 64, threshold="max", correction="none")
    expected = (torch.cat([X, 2 * X], 1) @ torch.from_numpy(weights(12, 5))).relu()
    torch.testing.assert_close(snn(X, 2 * X), expected, atol=0.02 * float(expected.max()), rtol=0)
    inner = load_onnx(mlp(tmp_path))
    outer = respike.from_torch(nn.Sequential(nn.Linear(6, 6), inner), X, 4)
    assert "1.layer/one:relu (Relu)" in outer.summary()


def test_verify_catches_a_wrong_import(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = mlp(tmp_path)
    net = load_onnx(path)
    assert verify_onnx(net, path) < 1e-6
    with torch.no_grad():
        net.get_parameter("last.weight").mul_(1.01)
    with pytest.raises(ConversionError, match="differs from onnxruntime"):
        verify_onnx(net, path)
