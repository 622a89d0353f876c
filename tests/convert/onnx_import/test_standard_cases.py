"""ONNX's own tests: the inputs and outputs of single nodes, PyTorch's operators, and nine whole networks."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from respike.convert import ConversionError, load_onnx

OPERATORS = frozenset(
    "Conv ConvTranspose Gemm MatMul Relu Clip LeakyRelu PRelu ThresholdedRelu BatchNormalization MaxPool AveragePool "
    "GlobalAveragePool GlobalMaxPool LpPool ReduceMean ReduceSum ReduceMax ReduceMin Add Sub Mul Div Sum Mean Max Min "
    "Concat Split Slice Gather Reshape Flatten Transpose Squeeze Unsqueeze Expand Pad Resize Upsample DepthToSpace "
    "SpaceToDepth Identity Cast Constant ConstantOfShape Shape Dropout Softmax LogSoftmax Sigmoid Tanh HardSigmoid "
    "HardSwish LRN InstanceNormalization LayerNormalization ArgMax Scaler OneHot GatherElements CumSum "
    "LpNormalization GroupNormalization ReduceLogSum ReduceLogSumExp Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh "
    "ReduceProd ReduceL1 ReduceL2 ReduceSumSquare GatherND ScatterND RMSNormalization Swish Attention Gelu Mish "
    "Softplus Elu Selu Celu Einsum Erf".split()
)
SUITES = Path(onnx.__file__).parent / "backend" / "test" / "data"

# What is refused, by a part of the case's name, and what the reason must say.
REFUSED = {
    "batchnorm_": "training mode",
    "training_dropout": "training mode",
    "cast_": "type that is not supported",
    "zero_size": "do not make up",  # a length of 0 is how some exporters leave the batch open
    "allowzero_reordered": "cannot run on",
    "attention_": "keeps keys and values",  # for the next token: a memory
    "_window": "left_window_size",
    "scatternd_m": "none of none, add",
    "gathernd_": "has batch_dims",
}

# The standard's own reference aligns corners that scales place between two pixels; PyTorch, which writes such files,
# and onnxruntime align the last pixel.
AS_RUNTIMES_DO = {f"test_resize_downsample_scales_{kind}_align_corners" for kind in ("linear", "cubic")}


@functools.cache
def cases() -> dict[str, Any]:
    """The single-node cases of these operators whose first input is float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    return {c.name: c for c in found if c.model is not None and "expanded" not in c.name and wanted(c.model.graph)}


def wanted(graph: onnx.GraphProto) -> bool:
    if len(graph.node) != 1 or graph.node[0].op_type not in OPERATORS or not graph.input:
        return False
    return graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def frozen(model: onnx.ModelProto, values: list[Any]) -> onnx.ModelProto:
    """The model with all inputs after the first as weights."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for value, data in zip(list(found.graph.input)[1:], values[1:], strict=True):
        tensor = data if isinstance(data, onnx.TensorProto) else numpy_helper.from_array(data, value.name)
        found.graph.initializer.append(tensor)
        found.graph.initializer[-1].name = value.name
        found.graph.input.remove(value)
    return found


def as_array(data: Any) -> Any:
    """Of whatever type the case comes with; floats as float32, which is what the importer computes with."""
    array = numpy_helper.to_array(data) if isinstance(data, onnx.TensorProto) else np.array(data)
    with np.errstate(over="ignore", under="ignore"):  # some of PyTorch's cases are uninitialised memory
        return array.astype(np.float32) if array.dtype.kind not in "biu" else array.copy()


def agree(found: Any, expected: list[Any], rtol: float, atol: float = 1e-6) -> None:
    given = found if isinstance(found, tuple) else (found,)
    assert len(given) == len(expected)
    for y, data in zip(given, expected, strict=True):
        z = as_array(data)
        assert tuple(y.shape) == z.shape
        np.testing.assert_allclose(y.detach().numpy(), z, rtol=rtol, atol=atol)


def outcome(path: Path, model: onnx.ModelProto, inputs: list[Any], outputs: list[Any], **tolerance: float) -> str:
    """Why the file was refused, or nothing if it gives these outputs; a wrong result is an AssertionError."""
    onnx.save(model, path)
    try:
        net = load_onnx(path)
        with torch.no_grad():
            y = net(*[torch.from_numpy(as_array(x)) for x in inputs])
    except ConversionError as error:
        return str(error)
    agree(y, outputs, **tolerance)
    return ""


def node_case(name: str, folder: Path) -> str:
    case = cases()[name]
    inputs, outputs = case.data_sets[0]
    model = frozen(case.model, list(inputs))
    if name in AS_RUNTIMES_DO:
        runtime = pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())
        outputs = runtime.run(None, {model.graph.input[0].name: inputs[0]})
    return outcome(folder / "case.onnx", model, list(inputs)[:1], list(outputs), rtol=max(case.rtol, 1e-3))


@pytest.mark.slow
def test_single_nodes_give_the_standards_own_results(tmp_path: Path) -> None:
    refused = {name: why for name in cases() if (why := node_case(name, tmp_path))}
    for name, why in refused.items():
        assert any(reason in why for pattern, reason in REFUSED.items() if pattern in name), (name, why)
    assert len(cases()) - len(refused) >= 350


def stored(folder: Path, kind: str) -> list[onnx.TensorProto]:
    found = []
    for path in sorted((folder / "test_data_set_0").glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.split("_")[1])):
        found.append(onnx.TensorProto())
        found[-1].ParseFromString(path.read_bytes())
    return found


@pytest.mark.parametrize("suite", ["pytorch-converted", "pytorch-operator"])
def test_pytorchs_operators(suite: str, tmp_path: Path) -> None:
    """All of them, from the days of operator set 6."""
    folders = sorted((SUITES / suite).iterdir())
    assert len(folders) > 30
    for folder in folders:
        model = onnx.load(folder / "model.onnx")
        path = tmp_path / f"{folder.name}.onnx"
        why = outcome(path, model, stored(folder, "input"), stored(folder, "output"), rtol=1e-3, atol=1e-5)
        assert not why, folder.name


LIGHT = sorted((SUITES / "light").glob("*.onnx"))
ALIKE = "light_vgg19"
"""The largest of them: 144 million weights, and nothing that the others lack."""


def spelled(path: Path) -> set[tuple[str, ...]]:
    """The operators of a network, with the attributes that they are given."""
    return {(n.op_type, *sorted(a.name for a in n.attribute)) for n in onnx.load(path).graph.node}


def test_light_networks_are_all_there() -> None:
    assert len(LIGHT) == 9
    one, *others = sorted(LIGHT, key=lambda p: p.stem != ALIKE)
    assert one.stem == ALIKE and spelled(one) <= set().union(*map(spelled, others))


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in LIGHT if p.stem != ALIKE], ids=lambda p: p.stem)
def test_light_networks_with_random_weights(path: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(path)
    with_random_weights(model, np.random.default_rng(0))
    onnx.save(model, tmp_path / "net.onnx")
    net = load_onnx(tmp_path / "net.onnx")
    x = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    (expected,) = runtime.InferenceSession(str(tmp_path / "net.onnx")).run(None, {net.inputs[0].name: x})
    with torch.no_grad():
        found = net(torch.from_numpy(np.concatenate([x, -x]))).numpy()[:1]  # the file says a batch of one
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    assert expected.std() > 1e-3 * expected.mean()  # no constant


def with_random_weights(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """In place of the constants that stand for trained weights."""
    graph = model.graph
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    variances = {n.input[4] for n in graph.node if n.op_type == "BatchNormalization"}
    for node in [n for n in graph.node if n.op_type == "ConstantOfShape"]:
        shape = shapes[node.input[0]]
        fan_in = max(np.prod(shape[1:]), 1)
        data = rng.normal(size=shape) * np.sqrt(2 / fan_in) if len(shape) > 1 else rng.normal(size=shape) * 0.1
        data = rng.uniform(0.5, 1.5, size=shape) if node.output[0] in variances else data
        graph.initializer.append(numpy_helper.from_array(data.astype(np.float32), node.output[0]))
        graph.node.remove(node)
