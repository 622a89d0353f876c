"""Resize in all its modes, held against onnxruntime: the same numbers, or a refusal where runtimes differ."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from samples import one_in, slow
from small_graphs import op, save
from torch import nn

import respike
from respike.convert import ConversionError, load_onnx

runtime = pytest.importorskip("onnxruntime")

COORDINATES = (
    "half_pixel pytorch_half_pixel align_corners asymmetric half_pixel_symmetric tf_half_pixel_for_nn "
    "tf_crop_and_resize"
).split()
SCALES = (0.5, 2.0, 1.5, 3.0, 0.6, 1.0, 0.75, 2.3, 1.1, 1 / 3)


def random_resize(seed: int) -> tuple[onnx.ModelProto, np.ndarray]:
    """One node with random attributes, and an input for it."""
    r = np.random.default_rng(seed)
    kind, coordinate = str(r.choice(["nearest", "linear", "cubic"])), COORDINATES[min(int(r.integers(10)), 6)]
    opset, space = int(r.choice([11, 13, 18, 19])), 2 if kind == "cubic" else int(r.integers(1, 4))
    if opset < 19 and coordinate == "half_pixel_symmetric":
        coordinate = "half_pixel"
    if opset > 11 and coordinate == "tf_half_pixel_for_nn":
        opset = 11
    lengths = [int(n) for n in r.integers(1, 9, space)]
    made: dict[str, Any] = {"mode": kind, "coordinate_transformation_mode": coordinate}
    if kind == "nearest":
        made["nearest_mode"] = str(r.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    elif kind == "cubic":
        made |= {"cubic_coeff_a": float(r.choice([-0.75, -0.5])), "exclude_outside": int(r.integers(2))}
    if kind != "nearest" and opset >= 18 and r.random() < 0.2:
        made["antialias"] = 1
    inputs, constants = ["x", "", "", ""], {}
    if coordinate == "tf_crop_and_resize":
        ends = [0.0, 0.0, *r.uniform(-0.2, 0.4, space), 1.0, 1.0, *r.uniform(0.6, 1.3, space)]
        constants["roi"], made["extrapolation_value"] = np.array(ends, np.float32), 2.5
        inputs[1] = "roi"
    chosen = opset >= 18 and coordinate != "tf_crop_and_resize" and r.random() < 0.4
    if chosen:
        made["axes"] = list(range(2, 2 + space))
    if r.random() < 0.6:
        scales = [s if int(n * s) else 2.0 for n, s in zip(lengths, r.choice(SCALES, space), strict=True)]
        constants["s"], inputs[2] = np.array([1.0] * (0 if chosen else 2) + scales, np.float32), "s"
    else:
        sizes = [int(n) for n in r.integers(1, 14, space)]
        constants["z"], inputs[3] = np.array([2] * (0 if chosen else 2) + sizes), "z"
        if chosen and r.random() < 0.5:
            made["keep_aspect_ratio_policy"] = str(r.choice(["not_larger", "not_smaller"]))
    graph = helper.make_graph(
        [helper.make_node("Resize", inputs, ["y"], **made)],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, *lengths])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model, r.normal(size=(2, 2, *lengths)).astype(np.float32)


def as_onnxruntime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray | None:
    """Its result, or None where it does not run the file."""
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        (y,) = runtime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})
    except Exception:  # its own exceptions have no common base
        return None
    return np.asarray(y)


REASONS = (
    "leaves axis",
    "Crop it by a Slice",
    "falls on the edge",
    "becomes one of length 0",
    "lies outside the input",
)


def test_random_resizes_are_onnxruntimes_or_refused(tmp_path: Path) -> None:
    equal = refused = 0
    for seed in range(150):
        model, x = random_resize(seed)
        expected = as_onnxruntime(model, x)
        if expected is None:
            continue
        onnx.save(model, tmp_path / "net.onnx")
        why = ""
        try:
            found = load_onnx(tmp_path / "net.onnx")(torch.from_numpy(x)).numpy()
        except ConversionError as error:
            why = str(error)
        if why:
            assert any(reason in why for reason in REASONS), (seed, why)
            refused += 1
            continue
        assert found.shape == expected.shape, seed
        # Weights that nearly cancel lose a few bits of float32.
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5 * np.abs(expected).max(), err_msg=f"seed {seed}")
        equal += 1
    assert equal > 100 and refused < equal // 5


@pytest.mark.parametrize("kind", [slow("nearest"), "linear"])
@pytest.mark.parametrize("how", ["asymmetric", "half_pixel", "align_corners"])
def test_every_pair_of_lengths(kind: str, how: str, tmp_path: Path) -> None:
    """Where a pixel lies halfway between two, the last bit of a quotient decides."""
    for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil") if kind == "nearest" else ("floor",):
        made = {"mode": kind, "coordinate_transformation_mode": how, "nearest_mode": nearest}
        node = helper.make_node("Resize", ["x", "", "", "z"], ["y"], **made)
        for n in (3, 7, 9):
            for m in range(1, 14):
                path = save(tmp_path, [node], {"z": np.array([1, 1, m])}, x=[1, 1, n])
                x = np.arange(n, dtype=np.float32).reshape(1, 1, n)
                expected = as_onnxruntime(onnx.load(path), x)
                found = load_onnx(path)(torch.from_numpy(x)).numpy()
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=f"{n} to {m}, {nearest}")


class Resized(nn.Module):
    def __init__(self, kind: str, factor: float) -> None:
        super().__init__()
        self.kind, self.factor = kind, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(x, scale_factor=self.factor, mode=self.kind, align_corners=True).relu()


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("factor", one_in(3, [1.5, 2.0, 0.7]))
def test_pytorchs_aligned_corners(kind: str, factor: float, tmp_path: Path) -> None:
    """Nine times 1.5 is 13.5: the corners that are aligned are those of the 13 pixels."""
    model, x = Resized(kind, factor).eval(), torch.rand(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "N"}}
        torch.onnx.export(model, (x,), tmp_path / "net.onnx", input_names=["x"], dynamic_axes=axes, dynamo=False)
    found = load_onnx(tmp_path / "net.onnx")(x)
    torch.testing.assert_close(found, model(x), atol=1e-5, rtol=0)
    snn = respike.from_onnx(tmp_path / "net.onnx", x, 64, schedule="layerwise", threshold="max", correction="none")
    torch.testing.assert_close(snn(x), found, atol=1 / 64, rtol=0)  # half a threshold of at most 1.1, by T


def test_a_scale_that_leaves_every_length_is_refused_where_it_moves_pixels(tmp_path: Path) -> None:
    node = helper.make_node(
        "Resize", ["x", "", "s"], ["y"], coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    with pytest.raises(ConversionError, match=r"a scale of 1\.03125 leaves axis 3 at its length of 4"):
        load_onnx(save(tmp_path, [node], {"s": np.array([1, 1, 1, 1.03125], np.float32)}, x=["N", 1, 1, 4]))
    # one pixel stays where it is; and beside an axis that grows, onnxruntime moves pixels too
    still = load_onnx(save(tmp_path, [node], {"s": np.array([1, 1, 1.5, 1], np.float32)}, x=["N", 1, 1, 4]))
    x = torch.arange(4.0).reshape(1, 1, 1, 4)
    assert torch.equal(still(x), x)
    path = save(tmp_path, [node], {"s": np.array([1, 1, 2, 1.03125], np.float32)}, x=["N", 1, 1, 4])
    assert load_onnx(path)(x)[0, 0, 0].tolist() == [0, 0, 1, 2]
    assert np.array_equal(load_onnx(path)(x).numpy(), as_onnxruntime(onnx.load(path), x.numpy()))


def test_old_upsample_is_a_resize(tmp_path: Path) -> None:
    for opset, kind in ((7, "nearest"), (7, "linear"), (9, "nearest"), (9, "linear")):
        scales = [1.0, 1.0, 2.0, 1.5]
        node = op("Upsample", "x" if opset < 9 else "x s", "y", mode=kind, **({"scales": scales} if opset < 9 else {}))
        constants = {} if opset < 9 else {"s": np.array(scales, np.float32)}
        path = save(tmp_path, [node], constants, x=["N", 2, 3, 4], opset=opset)
        x = np.random.default_rng(0).normal(size=(2, 2, 3, 4)).astype(np.float32)
        np.testing.assert_allclose(
            load_onnx(path)(torch.from_numpy(x)).numpy(), as_onnxruntime(onnx.load(path), x), rtol=0, atol=1e-6
        )
