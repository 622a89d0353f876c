"""Numbers of other formats, and lengths and bounds that are computed: most are held against onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from small_graphs import X, op, save

from respike.convert import ConversionError, ConversionWarning, load_onnx, verify_onnx


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


def padded(path: Path, power: int) -> Path:
    """Pads in the order that PyTorch has them, put into ONNX's as its exporter does: a table, reversed, transposed."""
    nodes = [
        op("Shape", "x", "s", start=1, end=2),
        op("Pow", "s power", "p"),
        op("Sub", "p most", "more"),
        op("Concat", "one more two none", "pads", axis=0),
        op("Reshape", "pads pairs", "table"),
        op("Slice", "table last first axis back", "reversed"),
        op("Transpose", "reversed", "turned", perm=[1, 0]),
        op("Reshape", "turned flat", "list"),
        op("Pad", "x list", "y"),
    ]
    named = {"power": power, "most": 6**2 - 4, "one": 1, "two": 2, "none": 0, "flat": -1, "last": -1, "axis": 0}
    constants = {name: np.array([value]) for name, value in named.items()}
    constants |= {"pairs": np.array([-1, 2]), "first": np.array([-(2**63) + 1]), "back": np.array([-1])}
    return save(path, nodes, constants)


def test_pads_that_are_computed_from_shapes(tmp_path: Path) -> None:
    path = padded(tmp_path, 2)
    net, x = load_onnx(path), torch.randn(3, 6)
    torch.testing.assert_close(net(x), torch.nn.functional.pad(x, (1, 4, 2, 0)))
    assert verify_onnx(net, path, (x,)) == 0


def test_a_power_beyond_any_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="the power 1000000000 in shape arithmetic"):
        load_onnx(padded(tmp_path, 10**9))(X)
