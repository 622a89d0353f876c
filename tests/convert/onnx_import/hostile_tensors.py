"""Weights that are not what they say: wrong sizes, wrong types, and data in files that are none of ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from hostile_build import BIG, Dims, Hostile, Made, bad, ints, model, op, rand, value, write
from onnx import ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper

DATA = rand(4, 3).tobytes()
OUTSIDE = r"outside|escape|absolute|relative|folder|director|not allowed|travers|beside|link"


def holds(*tensors: TensorProto, **fields: Any) -> ModelProto:
    """``y = x + w``, with ``w`` as given."""
    return model(op("Add", "x w"), x=("N", 4, 3), tensors=tensors, **fields)


def raw(dims: Dims = (4, 3), data: bytes = DATA, dtype: int = TensorProto.FLOAT, **fields: Any) -> TensorProto:
    return TensorProto(name="w", data_type=dtype, dims=dims, raw_data=data, **fields)


def lies(size: str, *says: str, **fields: Any) -> Hostile:
    """A weight whose data do not fit what it says of itself."""
    return bad(lambda d: holds(TensorProto(**{"name": "w", "data_type": 1, **fields})), r"\bw\b", size, *says)


def constant(**attributes: Any) -> ModelProto:
    return model(op("Constant", "", "c", **attributes), op("Add", "x c"), x=("N", 4, 3))


def external(location: str | None, dims: Dims = (4, 3), names: tuple[str, ...] = ("w",), **info: Any) -> ModelProto:
    """``y = x + w + ...`` with the weights in a file at the place named."""
    proto = model(op("Sum", " ".join(["x", *names])), x=("N", 4, 3))
    for name in names:
        tensor = proto.graph.initializer.add(
            name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL
        )
        for key, said in {"location": location, **info}.items():
            if said is not None:
                tensor.external_data.add(key=key, value=str(said))
    return proto


def beside(folder: Path, size: int, **info: Any) -> Made:
    """Weights in a file of that many bytes, of which the disk stores none, beside the model."""
    (folder / "w.bin").touch()
    os.truncate(folder / "w.bin", size)
    return external("w.bin", **info)


def within(folder: Path, make: Any) -> Path:
    """The model in a folder of its own, beside a file that is none of its business."""
    (folder / "secret.bin").write_bytes(DATA)
    (folder / "own").mkdir()
    return write(make(folder / "own"), folder / "own")


def linked(folder: Path) -> Made:
    (folder / "w.bin").symlink_to("../secret.bin")
    return external("w.bin")


def linked_folder(folder: Path) -> Made:
    (folder / "data").symlink_to("..", target_is_directory=True)
    return external("data/secret.bin")


def linked_to_itself(folder: Path) -> Made:
    (folder / "w.bin").symlink_to("w.bin")
    return external("w.bin")


def fifo(folder: Path) -> Made:
    os.mkfifo(folder / "w.bin")
    return external("w.bin")


def directory(folder: Path) -> Made:
    (folder / "w.bin").mkdir()
    return external("w.bin")


def device(folder: Path) -> Made:
    (folder / "w.bin").symlink_to("/dev/zero")
    return external("w.bin")


def sparse_weights() -> SparseTensorProto:
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    return helper.make_sparse_tensor(values, helper.make_tensor("i", TensorProto.INT64, [1], [0]), [3])


def sparse_initializer() -> ModelProto:
    proto = holds()
    proto.graph.sparse_initializer.append(sparse_weights())
    return proto


def strings(name: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.STRING, [1], [b"0.5"])


def named(dtype: str, data: bytes) -> Hostile:
    return bad(lambda d: holds(raw([3], data, TensorProto.DataType.Value(dtype))), r"\bw\b", dtype, may_load=True)


HUGE_FILE = (100 << 30) // 300 // 4 * 4
NEGATIVE = r"negative|-1|-7|offset|length|size|dim"

TENSORS: dict[str, Hostile] = {
    "weights of NaN": bad(
        lambda d: model(op("MatMul", "x w"), weights={"w": np.full((3, 3), np.nan, np.float32)}), r"\bw\b", "nan|finite"
    ),
    "weights infinite": bad(
        lambda d: model(op("MatMul", "x w"), weights={"w": np.full((3, 3), np.inf, np.float32)}), r"\bw\b|MatMul", "inf"
    ),
    "weights twice, behind 30,000 others": bad(
        lambda d: holds(*(TensorProto(name=str(i), data_type=1) for i in range(30_000)), raw(), raw()),
        r"\bw\b",
        "unique|twice|two|duplicate|more than|again|already|several",
    ),
    "constant of NaN": bad(lambda d: constant(value_float=float("nan")), r"\bc\b|Constant", "nan|finite"),
    "data shorter than the shape": lies("bytes|elements|size|data|values", dims=[4, 3], raw_data=DATA[:-4]),
    "data longer than the shape": lies("bytes|elements|size|data|values", dims=[4, 3], raw_data=DATA * 2),
    "data of half a number": lies("bytes|elements|size|data|values", dims=[4, 3], raw_data=DATA[:-1]),
    "data missing": lies("bytes|elements|size|data|values", dims=[4, 3]),
    "data too few, as floats": lies("elements|size|data|values", dims=[4, 3], float_data=[1.0] * 11),
    "data twice": lies("data|both|twice", dims=[1, 3], raw_data=DATA[:12], float_data=[1.0] * 3),
    "data of another type": lies("data|type|elements|values|bytes|size", dims=[1, 3], int64_data=[1, 2, 3]),
    "data of a segment": lies("segment", dims=[4, 3], raw_data=DATA, segment=TensorProto.Segment(begin=0, end=1)),
    "shape beyond int64": lies(f"{BIG}|overflow|dim|shape|data", dims=[1 << 40, 1 << 40], raw_data=DATA),
    "shape that overflows to the right size": lies(
        f"{BIG}|overflow|dim|shape|data", dims=[1 << 32, 1 << 32, 1, 3], raw_data=DATA[:12]
    ),
    "shape that wraps to zero": lies(f"{BIG}|overflow|dim|shape|data", dims=[1 << 32, 1 << 32], raw_data=b""),
    "shape of 2^40 and nothing in it": lies(f"{BIG}|dim|shape|data", dims=[1 << 40]),
    "shape of 0 by 2^62": lies(f"{BIG}|dim|shape|data|empty|zero|0", dims=[0, 1 << 62]),
    "shape negative": lies("negative|-4", dims=[-4, -3], raw_data=DATA),
    "shape of -1": lies("negative|-1", dims=[-1, 3], raw_data=DATA),
    "shape of 10^5 ones": lies(f"{BIG}|dim|rank|shape", dims=[1] * 100_000, raw_data=DATA[:4]),
    "dtype 77": lies("type", "77", data_type=77, dims=[4, 3], raw_data=DATA),
    "dtype undefined": lies("type", data_type=0, dims=[4, 3], raw_data=DATA),
    "dtype negative": lies("type", "-1", data_type=-1, dims=[4, 3], raw_data=DATA),
    "dtype string": bad(lambda d: holds(strings("w")), r"\bw\b", "string"),
    "dtype complex": named("COMPLEX64", bytes(24)),
    "dtype float8": named("FLOAT8E4M3FN", bytes(3)),
    "dtype int4": named("INT4", bytes(2)),
    "dtype not the other operand's": bad(
        lambda d: holds(numpy_helper.from_array(ints(1, 2, 3), "w")), r"\bw\b|Add", "int64|type", may_load=True
    ),
    "weights twice": bad(
        lambda d: holds(raw(), raw()), r"\bw\b", "unique|twice|two|duplicate|more than|again|already|several"
    ),
    "weights without a name": bad(
        lambda d: holds(raw(), TensorProto(data_type=1, dims=[1], raw_data=DATA[:4])), "name", may_load=True
    ),
    "weights named like the output of a node": bad(
        lambda d: model(op("Relu", "x", "w"), op("Add", "x w"), tensors=[raw()]), r"\bw\b"
    ),
    "weights that contradict their input": bad(
        lambda d: holds(raw(), inputs=[value("x", ["N", 4, 3]), value("w", [5, 5])]),
        r"\bw\b",
        "shape|dim|5",
        may_load=True,
    ),
    "weights sparse": bad(lambda d: sparse_initializer(), r"\bw\b|initializer", "sparse"),
    "constant sparse": bad(lambda d: constant(sparse_value=sparse_weights()), r"\bc\b|Constant", "sparse"),
    "constant string": bad(lambda d: constant(value_string="0.5"), r"\bc\b|Constant", "string"),
    "constant strings": bad(lambda d: constant(value_strings=["a", "b"]), r"\bc\b|Constant", "string"),
    "constant tensor of strings": bad(lambda d: constant(value=strings("")), r"\bc\b|Constant", "string"),
    "constant without a value": bad(lambda d: constant(), r"\bc\b|Constant", "value|attribute|no number"),
    "constant with two values": bad(
        lambda d: constant(value_float=1.0, value_int=1), r"\bc\b|Constant", "value|attribute"
    ),
    "constant that is half a tensor": bad(
        lambda d: constant(value=raw(data=DATA[:9])), r"\b[cw]\b|Constant", "bytes|elements|size|data"
    ),
    "external: absolute": bad(lambda d: external("/etc/passwd"), r"\bw\b|passwd", OUTSIDE),
    "external: absolute, a device": bad(lambda d: external("/dev/zero"), r"\bw\b|zero", OUTSIDE),
    "external: /proc": bad(lambda d: external("/proc/self/mem"), r"\bw\b|proc", OUTSIDE),
    "external: ..": bad(lambda d: within(d, lambda own: external("../secret.bin")), r"\bw\b|secret", OUTSIDE),
    "external: folder/../..": bad(
        lambda d: within(d, lambda own: external("./a/../../secret.bin")), r"\bw\b|secret", OUTSIDE
    ),
    "external: link to outside": bad(lambda d: within(d, linked), r"\bw\b", OUTSIDE),
    "external: folder linked to outside": bad(lambda d: within(d, linked_folder), r"\bw\b|secret", OUTSIDE),
    "external: a link to a device": bad(device, r"\bw\b", f"device|regular|{OUTSIDE}"),
    "external: a link to itself": bad(linked_to_itself, r"\bw\b", "link|loop|levels|not exist|no such|missing"),
    "external: a FIFO": bad(fifo, r"\bw\b", "not a (regular )?file|fifo|pipe|regular"),
    "external: a directory": bad(directory, r"\bw\b", "not a (regular )?file|directory|folder|regular"),
    "external: the folder itself": bad(lambda d: external("."), r"\bw\b", f"not a file|regular|{OUTSIDE}"),
    "external: missing": bad(lambda d: external("w.bin"), r"\bw\b", "no such|not found|not exist|no file|missing"),
    "external: location empty": bad(lambda d: external(""), r"\bw\b", "location|empty|file|folder"),
    "external: location absent": bad(lambda d: external(None), r"\bw\b", "location|file"),
    "external: location with a NUL": bad(lambda d: external("w\0.bin"), r"\bw\b", r"null|NUL|\\0|\\x00|location|file"),
    "external: location of 10^5 letters": bad(lambda d: external("w" * 100_000), r"\bw\b", "location|long|name|file"),
    "external: location not UTF-8": bad(
        lambda d: external("location").SerializeToString().replace(b"\x12\x08location", b"\x12\x08" + b"\xff" * 8),
        r"\bw\b|utf|text|decode|pars",
        "location|file|utf|text|decode",
    ),
    "external: location a URL": bad(
        lambda d: external("http://127.0.0.1:1/w.bin"), r"\bw\b", "no such|not found|not exist|no file|missing"
    ),
    "external: shorter than declared": bad(lambda d: beside(d, 47, length=48), r"\bw\b", "bytes|short|size|end|length"),
    "external: shorter than the shape": bad(lambda d: beside(d, 47), r"\bw\b", "bytes|short|size|end|length"),
    "external: length not the shape's": bad(lambda d: beside(d, 99, length=44), r"\bw\b", "length|bytes|size"),
    "external: length negative": bad(lambda d: beside(d, 99, length=-48), r"\bw\b", "length|bytes|negative"),
    "external: length no number": bad(lambda d: beside(d, 99, length="many"), r"\bw\b", "length|many"),
    "external: offset negative": bad(lambda d: beside(d, 99, offset=-4), r"\bw\b", "offset|negative|-4"),
    "external: offset past the end": bad(lambda d: beside(d, 99, offset=100), r"\bw\b", "offset|end|bytes|size"),
    "external: offset no number": bad(lambda d: beside(d, 99, offset="1e3"), r"\bw\b", "offset|1e3"),
    "external: offset beyond int64": bad(lambda d: beside(d, 99, offset=1 << 80), r"\bw\b", "offset|end|bytes|size"),
    "external: offset of 10^5 digits": bad(
        lambda d: beside(d, 99, offset="9" * 100_000), r"\bw\b", "offset|end|bytes|size"
    ),
    "external: shape negative": bad(lambda d: beside(d, 99, dims=[-4, -3]), r"\bw\b", "negative|-4"),
    "external: 40 GiB in one": bad(lambda d: beside(d, 40 << 30, dims=[10 << 30]), r"\bw\b", BIG),
    "external: 100 GiB in 300, all the same": bad(
        lambda d: beside(d, HUGE_FILE, dims=[HUGE_FILE // 4], names=tuple(f"w{i}" for i in range(300))), BIG
    ),
    "external: 1000 of one missing file": bad(
        lambda d: external("w.bin", names=tuple(f"w{i}" for i in range(1000))),
        "w0|w\\.bin",
        "no such|not found|not exist|no file|missing",
    ),
    "external: one in a Constant": bad(
        lambda d: constant(value=external("/etc/passwd").graph.initializer[0]), r"\bc\b|Constant|passwd|\bw\b", OUTSIDE
    ),
}
