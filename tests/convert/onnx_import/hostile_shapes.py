"""Arithmetic on shapes and constants that cannot be done, or that nobody could pay for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hostile_build import BIG, FIT, MAX, MIN, Hostile, bad, batch_norm, image, ints, model, op, rand, scalar, unary
from onnx import ModelProto, NodeProto, TensorProto, helper


def doubling(op_type: str, depth: int, start: str, **attributes: Any) -> list[NodeProto]:
    """Each value twice into the next node, ``c`` being the last: what doubles, is 2^depth times as large then."""
    names = [start, *(f"v{i}" for i in range(1, depth)), "c"]
    return [op(op_type, f"{a} {a}", b, **attributes) for a, b in pairwise(names)]


def chain(start: str, axis: int, **weights: np.ndarray) -> ModelProto:
    nodes = op("ReduceSum", "c", "d", keepdims=0), op("Add", "x d")
    return model(*doubling("Concat", 40, start, axis=axis), *nodes, weights=weights)


def counts(*nodes: NodeProto, **weights: np.ndarray) -> ModelProto:
    """``y = x * max(c)``, where ``c`` is computed from ``s``, the shape of ``x``."""
    ends = op("ReduceMax", "c", "m", keepdims=0), op("Cast", "m", "d", to=TensorProto.FLOAT), op("Mul", "x d")
    return model(op("Shape", "x", "s"), *nodes, *ends, weights=weights)


def product(rows: int, inner: int, times: int = 1) -> ModelProto:
    """Of constants that take no room in the file: a few bytes, and ``rows``^2 * ``inner`` multiplications."""
    nodes = [op("ConstantOfShape", "m", "a"), op("ConstantOfShape", "n", "b"), op("MatMul", "a b", "c0")]
    nodes += [op("MatMul", f"c{i} c{i}", f"c{i + 1}") for i in range(times - 1)]
    nodes += [op("ReduceSum", f"c{times - 1}", "d", keepdims=0), op("Add", "x d")]
    return model(*nodes, weights={"m": ints(rows, inner), "n": ints(inner, rows)})


def folds(op_type: str, inputs: str, attributes: dict[str, Any] | None = None, **weights: np.ndarray) -> ModelProto:
    """``y = x + sum(f(constants))``, whatever shape that has: what is computed while the file is read."""
    nodes = op("Cast", "c", "d", to=TensorProto.FLOAT), op("ReduceSum", "d", "e", keepdims=0), op("Add", "x e")
    return model(op(op_type, inputs, "c", **(attributes or {})), *nodes, weights=weights)


def resize(*, sizes: tuple[int, ...] = (), scales: tuple[float, ...] = (), roi: tuple[float, ...] = ()) -> ModelProto:
    given = {"roi": np.array(roi, np.float32), "scales": np.array(scales, np.float32), "sizes": ints(*sizes)}
    names = " ".join(k if v.size else "-" for k, v in given.items()).removesuffix(" -").removesuffix(" -")
    attributes = {"coordinate_transformation_mode": "tf_crop_and_resize"} if roi else {}
    return image(op("Resize", f"x {names}", mode="linear", **attributes), weights=given)


def pad(*pads: int) -> ModelProto:
    return image(op("Pad", "x pads"), weights={"pads": ints(*pads)})


SHAPES: dict[str, Hostile] = {
    # too much to pay for
    "large: ConstantOfShape of 10^11": bad(
        lambda d: folds("ConstantOfShape", "n", n=ints(10**11)), "ConstantOfShape", BIG
    ),
    "large: ConstantOfShape that overflows": bad(
        lambda d: folds("ConstantOfShape", "n", n=ints(1 << 62, 1 << 62)), "ConstantOfShape", BIG
    ),
    "large: Expand to 10^11": bad(lambda d: folds("Expand", "w n", w=rand(1), n=ints(10**11)), "Expand", BIG),
    "large: Expand of the input to 10^11": bad(
        lambda d: unary("Expand", n=ints(10**11, 1, 3), x=[1, 1, 3]), "Expand", BIG
    ),
    "large: Tile by 2^30": bad(lambda d: folds("Tile", "w n", w=rand(3, 3), n=ints(1 << 30, 1 << 30)), "Tile", BIG),
    "large: Tile of the input by 2^30": bad(lambda d: unary("Tile", n=ints(1, 1, 1 << 30, 1 << 30)), "Tile", BIG),
    "large: Pad by 2^20 a side": bad(lambda d: pad(0, 0, *[1 << 20] * 2, 0, 0, *[1 << 20] * 2), "Pad", BIG),
    "large: Pad by 2^20 a side, an attribute": bad(
        lambda d: unary("Pad", opset=10, pads=[0, 0, 1 << 20, 1 << 20] * 2), "Pad", BIG
    ),
    "large: Pad of a constant by 2^40": bad(lambda d: folds("Pad", "w n", w=rand(3), n=ints(0, 1 << 40)), "Pad", BIG),
    "large: Resize by 10^9": bad(lambda d: resize(scales=(1, 1, 1e9, 1e9)), "Resize", f"scale|{BIG}"),
    "large: Resize to 2^40": bad(lambda d: resize(sizes=(1, 3, 1 << 40, 1 << 40)), "Resize", f"size|{BIG}"),
    "large: Range of 10^12": bad(
        lambda d: folds("Range", "a b s", a=scalar(0), b=scalar(10**12), s=scalar(1)), "Range", BIG
    ),
    "large: OneHot of 10^11": bad(
        lambda d: folds("OneHot", "i n v", i=ints(1, 2), n=scalar(10**11), v=rand(2)), "OneHot", f"{BIG}|OneHot"
    ),
    "large: EyeLike of 10^6": bad(
        lambda d: model(
            op("ConstantOfShape", "n", "c"),
            op("EyeLike", "c", "e"),
            op("MatMul", "x e"),
            weights={"n": ints(10**6, 10**6)},
        ),
        "ConstantOfShape|EyeLike",
        BIG,
    ),
    "large: outer product of constants": bad(
        lambda d: folds("Mul", "a b", a=rand(200_000, 1), b=rand(1, 200_000)), "Mul", BIG
    ),
    "large: constant doubled 40 times": bad(lambda d: chain("w", 0, w=rand(3)), "Concat|v\\d+", BIG),
    "large: input doubled 40 times": bad(lambda d: chain("x", 0), "Concat|v\\d+", f"{BIG}|axis|batch|Concat"),
    "large: features doubled 40 times": bad(lambda d: chain("x", 1), "Concat", BIG),
    "large: a power that never ends": bad(
        lambda d: folds("Pow", "a b", a=ints(7), b=ints(10**15)), "Pow", may_load=True
    ),
    "large: DepthToSpace of 2^31": bad(
        lambda d: unary("DepthToSpace", blocksize=1 << 31), "DepthToSpace", f"blocksize|{FIT}"
    ),
    "large: constants multiplied for minutes": bad(lambda d: product(5000, 50_000), "MatMul|ConstantOfShape", BIG),
    "large: constants multiplied for seconds, 99 times": bad(
        lambda d: product(1000, 1000, 99), "MatMul", BIG, may_load=True
    ),
    # arithmetic on the shape of the input, which may be done in Python's numbers
    "counted: squared 70 times": bad(
        lambda d: counts(*doubling("Mul", 70, "s")), r"Mul|\bv\d+\b", f"{BIG}|overflow|64"
    ),
    "counted: added 200 times": bad(
        lambda d: counts(*doubling("Add", 200, "s")), r"Add|Mul|\bv\d+\b", f"{BIG}|overflow|64"
    ),
    "counted: concatenated 40 times": bad(
        lambda d: counts(*doubling("Concat", 40, "s", axis=0)), r"Concat|\bv\d+\b", BIG
    ),
    "counted: to the power of 10^15": bad(
        lambda d: counts(op("Pow", "s n", "c"), n=ints(10**15)), "Pow", may_load=True
    ),
    "counted: Expand to 10^11": bad(
        lambda d: counts(op("Expand", "s n", "e"), op("Neg", "e", "c"), n=ints(10**11, 2)),
        "Expand|Neg",
        f"{BIG}|shape",
    ),
    "counted: Tile by 10^11": bad(lambda d: counts(op("Tile", "s n", "c"), n=ints(10**11)), "Tile", f"{BIG}|Tile"),
    "counted: ConstantOfShape of 10^11": bad(
        lambda d: counts(op("Mul", "s n", "n1"), op("ConstantOfShape", "n1", "c"), n=ints(10**6)),
        "ConstantOfShape",
        BIG,
    ),
    "counted: Range of 10^11": bad(
        lambda d: counts(
            op("Size", "x", "t"),
            op("Mul", "t n", "u"),
            op("Range", "o u i", "c"),
            n=scalar(10**11),
            o=scalar(0),
            i=scalar(1),
        ),
        "Range",
        f"{BIG}|Range",
    ),
    "counted: division by 0": bad(lambda d: counts(op("Div", "s n", "c"), n=ints(0)), "Div", "zero|0"),
    "counted: remainder by 0": bad(lambda d: counts(op("Mod", "s n", "c"), n=ints(0)), "Mod", "zero|0"),
    "counted: Gather out of range": bad(
        lambda d: counts(op("Gather", "s n", "c"), n=ints(7)), "Gather", "7|range|index"
    ),
    "counted: Slice by a step of 0": bad(
        lambda d: counts(op("Slice", "s a b i k", "c"), a=ints(0), b=ints(2), i=ints(0), k=ints(0)), "Slice", "step"
    ),
    "counted: root of -1": bad(
        lambda d: counts(op("Neg", "s", "n"), op("Cast", "n", "f", to=TensorProto.FLOAT), op("Sqrt", "f", "c")),
        "Sqrt",
        may_load=True,
    ),
    "counted: nothing": bad(
        lambda d: counts(op("Slice", "s a a", "c"), a=ints(0)), "ReduceMax|Slice", "empty|no |zero"
    ),
    # arithmetic on constants that ends badly
    "folded: division by 0": bad(lambda d: folds("Div", "a b", a=ints(1), b=ints(0)), "Div", "zero|0"),
    "folded: remainder by 0": bad(lambda d: folds("Mod", "a b", a=ints(1), b=ints(0)), "Mod", "zero|0|Mod"),
    "folded: least int by -1": bad(lambda d: folds("Div", "a b", a=ints(MIN), b=ints(-1)), "Div", may_load=True),
    "folded: least int's remainder by -1": bad(
        lambda d: folds("Mod", "a b", a=ints(MIN), b=ints(-1)), "Mod", may_load=True
    ),
    "folded: Range that never ends": bad(
        lambda d: folds("Range", "a b s", a=scalar(0), b=scalar(1), s=scalar(0)), "Range", "delta|step|0|zero"
    ),
    "folded: Gather out of range": bad(
        lambda d: folds("Gather", "w i", w=rand(3, 3), i=ints(7)), "Gather", "7|range|index"
    ),
    "folded: Gather by the least int": bad(
        lambda d: folds("Gather", "w i", w=rand(3, 3), i=ints(MIN)), "Gather", "-92|range|index|indices"
    ),
    "folded: ConstantOfShape of -1": bad(
        lambda d: folds("ConstantOfShape", "n", n=ints(-1)), "ConstantOfShape", "-1|negative"
    ),
    "folded: Slice by a step of 0": bad(
        lambda d: folds("Slice", "w a b i s", w=rand(3), a=ints(0), b=ints(3), i=ints(0), s=ints(0)), "Slice", "step"
    ),
    "folded: Slice of axis 77": bad(
        lambda d: folds("Slice", "w a b i", w=rand(3), a=ints(0), b=ints(3), i=ints(77)), "Slice", "axis|axes|77"
    ),
    "folded: Slice backwards by the least int": bad(
        lambda d: folds("Slice", "w a b i s", w=rand(3), a=ints(MAX), b=ints(MIN), i=ints(0), s=ints(MIN)),
        "Slice",
        may_load=True,
    ),
    "folded: Unsqueeze of one axis twice": bad(
        lambda d: folds("Unsqueeze", "w i", w=rand(3), i=ints(0, 0)), "Unsqueeze", "ax[ie]s|twice|repeat|duplicate"
    ),
    "folded: shape 100 dimensions deep": bad(
        lambda d: folds("Reshape", "w n", w=rand(1), n=ints(*[1] * 100)), "Reshape", "dim|rank|100", may_load=True
    ),
    # shapes that do not fit
    "fit: Reshape to another count": bad(lambda d: unary("Reshape", n=ints(5, 7), x=[1, 3]), "Reshape", FIT),
    "fit: Reshape of a constant": bad(lambda d: folds("Reshape", "w n", w=rand(6), n=ints(4, 2)), "Reshape", FIT),
    "fit: Reshape with two -1": bad(lambda d: unary("Reshape", n=ints(-1, -1)), "Reshape", "-1|one"),
    "fit: Reshape to -5": bad(lambda d: unary("Reshape", n=ints(-5, 3)), "Reshape", "-5"),
    "fit: Reshape by copying what is not there": bad(lambda d: unary("Reshape", n=ints(0, 0, 0, 0, 0)), "Reshape", FIT),
    "fit: Reshape by floats": bad(lambda d: unary("Reshape", n=rand(2)), "Reshape", "float|int|type"),
    "fit: Add of 3 and 4": bad(lambda d: unary("Add", w=rand(1, 4), x=[1, 3]), "Add", FIT),
    "fit: MatMul of 3 by 4": bad(lambda d: unary("MatMul", w=rand(4, 2), x=["N", 3]), "MatMul", FIT),
    "fit: Gemm of 3 by 4": bad(lambda d: unary("Gemm", w=rand(4, 2), x=["N", 3]), "Gemm", FIT),
    "fit: Gemm of rank 3": bad(lambda d: unary("Gemm", w=rand(3, 3, 2), x=["N", 3]), "Gemm", f"rank|{FIT}"),
    "fit: Concat of 8 and 9": bad(lambda d: unary("Concat", w=rand(1, 3, 9, 9), axis=1, x=[1, 3, 8, 8]), "Concat", FIT),
    "fit: Concat along axis 9": bad(lambda d: unary("Concat", "x", axis=9), "Concat", "axis|dim", "9"),
    "fit: Softmax along axis 77": bad(lambda d: unary("Softmax", axis=77), "Softmax", "axis|dim", "77"),
    "fit: Flatten at axis 77": bad(lambda d: unary("Flatten", axis=77), "Flatten", "axis|dim", "77"),
    "fit: ReduceMean over axis 77": bad(lambda d: unary("ReduceMean", axes=[77]), "ReduceMean", "ax[ie]s", "77"),
    "fit: Transpose with an axis twice": bad(lambda d: unary("Transpose", perm=[0, 1, 1, 2]), "Transpose", "perm"),
    "fit: Transpose with an axis missing": bad(lambda d: unary("Transpose", perm=[0, 2, 1]), "Transpose", "perm"),
    "fit: Transpose to axis 2^62": bad(lambda d: unary("Transpose", perm=[0, 1, 2, 1 << 62]), "Transpose", "perm"),
    "fit: Split that does not add up": bad(
        lambda d: image(op("Split", "x n", "y z", axis=1), weights={"n": ints(1, 1)}), "Split", FIT
    ),
    "fit: Split into negative parts": bad(
        lambda d: image(op("Split", "x n", "y z", axis=1), weights={"n": ints(5, -2)}), "Split", "negative|-2"
    ),
    "fit: Split into other outputs": bad(
        lambda d: image(op("Split", "x n", "y z", axis=1), weights={"n": ints(1, 1, 1)}), "Split", "output|part|3"
    ),
    "fit: Squeeze of an axis of 3": bad(lambda d: unary("Squeeze", n=ints(1)), "Squeeze", FIT),
    "fit: Pad by too few": bad(lambda d: pad(1, 1), "Pad", "pads|2|length"),
    "fit: Pad below nothing": bad(lambda d: pad(0, 0, -9, -9, 0, 0, -9, -9), "Pad", "pads|negative|-9"),
    "fit: Resize by too few scales": bad(lambda d: resize(scales=(2, 2, 2)), "Resize", "scale"),
    "fit: Resize by too small a roi": bad(lambda d: resize(scales=(1, 1, 2, 2), roi=(0, 1)), "Resize", "roi|tf_crop"),
    "fit: Resize by scales and sizes": bad(
        lambda d: resize(scales=(1, 1, 2, 2), sizes=(1, 3, 16, 16)), "Resize", "scale|sizes"
    ),
    "fit: Resize by neither": bad(lambda d: image(op("Resize", "x")), "Resize", "scale|sizes"),
    "fit: Resize by a negative scale": bad(lambda d: resize(scales=(1, 1, -2, -2)), "Resize", "scale"),
    "fit: Resize by NaN": bad(lambda d: resize(scales=(1, 1, float("nan"), 2)), "Resize|scales", "scale|nan"),
    "fit: Resize to nothing": bad(lambda d: resize(sizes=(1, 3, 0, 0)), "Resize", "size"),
    "fit: BatchNormalization of another size": bad(lambda d: batch_norm(5), "BatchNormalization", f"mean|{FIT}"),
    "fit: BatchNormalization that divides by 0": bad(
        lambda d: batch_norm(epsilon=-1.0), "BatchNormalization", "epsilon|finite|negative"
    ),
    "fit: Clip by a string": bad(
        lambda d: model(op("Clip", "x low"), tensors=[helper.make_tensor("low", TensorProto.STRING, [], [b"0"])]),
        r"Clip|\blow\b",
        "string",
    ),
    "fit: Clip by a vector": bad(lambda d: unary("Clip", low=rand(3)), r"Clip|\blow\b", f"scalar|number|{FIT}"),
    "fit: Cast to type 77": bad(lambda d: unary("Cast", to=77), "Cast", "77"),
    "fit: DepthToSpace of 0": bad(lambda d: unary("DepthToSpace", blocksize=0), "DepthToSpace", "blocksize|0"),
    "fit: LRN of size -1": bad(lambda d: unary("LRN", size=-1), "LRN", "size|-1|LRN"),
    "fit: Einsum of nonsense": bad(lambda d: unary("Einsum", "x", equation="ij(,->" + "a" * 99), "Einsum"),
    "fit: TopK of 10^12": bad(lambda d: model(op("TopK", "x k", "y i"), weights={"k": ints(10**12)}), "TopK"),
}
