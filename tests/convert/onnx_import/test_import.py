"""What the importer makes of small graphs: fused, folded, pruned, freed from the batch size, and named."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import respike
from respike.convert import ConversionError, load_onnx, normal_form, verify_onnx

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
    nodes = [op("NonZero", "x", "a", "one/first"), op("Relu", "x", "h"), op("OneHot", "h d v", "y", "the second")]
    path = save(tmp_path, nodes, {"d": np.array(3), "v": np.array([0, 1], np.float32)}, outputs=("y", "a"))
    with pytest.raises(ConversionError) as caught:
        load_onnx(path)
    assert {r.where for r in caught.value.refusals} == {"one/first (NonZero)", "the second (OneHot)"}


def test_the_converter_names_nodes_as_the_file_does(tmp_path: Path) -> None:
    path = mlp(tmp_path)
    snn = respike.from_onnx(path, X, 8)
    assert "layer/one:relu (Relu)" in snn.summary()
    nodes = [op("MatMul", "x w", "a"), op("Elu", "a", "e", "my/elu.1"), op("Relu", "e", "h"), op("MatMul", "h v", "y")]
    path = save(tmp_path, nodes, {"w": weights(6, 5), "v": weights(5, 3)})
    with pytest.raises(ConversionError, match=r"my/elu\.1 \(Elu\)"):
        respike.from_onnx(path, X, 8)
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
    nodes = [op("MatMul", "x w", "a"), op("Add", "a three", "s"), *clip, op("Mul", "a h", "m", "gate")]
    nodes += [op("Div", "m six", "d"), op("MatMul", "d v", "y")]
    constants = {"w": weights(6, 5), "v": weights(5, 3), "three": np.array(3.0, np.float32), **bounds}
    path = save(tmp_path, nodes, {**constants, "six": np.array(6.0, np.float32)})
    z = X @ torch.from_numpy(weights(6, 5))
    torch.testing.assert_close(load_onnx(path)(X), nn.functional.hardswish(z) @ torch.from_numpy(weights(5, 3)))
    with pytest.raises(ConversionError, match="multiplies two signals") as caught:
        respike.from_onnx(path, X, 8)
    assert [r.where for r in caught.value.refusals] == ["gate (Mul)"]
    assert "hard-swish" in str(caught.value)


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


@pytest.mark.parametrize("kept", ["a", "b", "c"])
def test_a_split_of_which_one_part_is_read(kept: str, tmp_path: Path) -> None:
    nodes = [op("Split", "x", "a b c", axis=1, num_outputs=3), op("Relu", kept, "y")]
    net = load_onnx(save(tmp_path, nodes, {}, opset=18))
    assert torch.equal(net(X), X.chunk(3, 1)["abc".index(kept)].relu())


def test_a_scale_that_leaves_the_length_moves_pixels_all_the_same(tmp_path: Path) -> None:
    nodes = [
        op("Resize", "x  s", "y", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    ]
    nodes[0].input[:] = ["x", "", "s"]
    path = save(tmp_path, nodes, {"s": np.array([1, 1, 1, 1.03125], np.float32)}, x=["N", 1, 1, 4])
    assert load_onnx(path)(torch.arange(4.0).reshape(1, 1, 1, 4)).flatten().tolist() == [0, 0, 1, 2]


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
