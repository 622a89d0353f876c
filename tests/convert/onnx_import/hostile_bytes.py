"""Files that are no model, or no model of a version that is known, and protobuf that is hostile in itself."""

from __future__ import annotations

import gzip
import itertools
import os
import pickle
import random
from pathlib import Path

from hostile_build import BIG, UNREADABLE, Hostile, bad, mlp, model, not_utf8, op, value
from onnx import ModelProto, TensorProto, helper

MISSING = r"no such file|not found|not exist|no file|missing"
IRREGULAR = "is not a regular file"


def at(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def cut(share: float) -> Hostile:
    data = mlp().SerializeToString()
    return bad(lambda _: data[: int(share * len(data))], UNREADABLE + "|opset")


def made(path: Path, how: object) -> Path:
    return path


def sparse(folder: Path, size: int) -> Path:
    path = at(folder, "model.onnx", mlp().SerializeToString())
    os.truncate(path, size)
    return path


def varint(n: int) -> bytes:
    return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field as protobuf writes it: quicker than the library, and free of its checks."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def around(graph: bytes) -> bytes:
    """A model around the bytes of the nodes, which come before a graph's other fields or behind them alike."""
    rest = model(y="y").graph.SerializeToString()
    return b"\x08\x08" + field(7, graph + rest) + field(8, helper.make_opsetid("", 17).SerializeToString())


def chain(n: int, name: bytes = b"") -> bytes:
    """``n`` times Relu."""
    names = ["x", *(f"v{i}" for i in range(1, n)), "y"]
    nodes = (
        field(1, field(1, a.encode()) + field(2, b.encode()) + field(4, b"Relu")) for a, b in itertools.pairwise(names)
    )
    return around(b"".join(nodes))


def constants(n: int) -> ModelProto:
    """Nodes to be computed while the file is read, ``n`` of them."""
    nodes = [op("Neg", f"c{i}", f"c{i + 1}") for i in range(n)]
    return model(*nodes, op("Add", f"x c{n}"), tensors=[tensor_named("c0")])


def nested(levels: int) -> bytes:
    """If in If in If, as bytes: the library itself refuses to write as many levels as these."""
    graph = b""
    for _ in range(levels):
        branch = field(1, b"then_branch") + field(6, graph) + b"\xa0\x01\x05"
        graph = field(1, field(1, b"c") + field(2, b"y") + field(4, b"If") + field(5, branch))
    return around(graph)


def without(field_name: str) -> ModelProto:
    proto = mlp()
    proto.ClearField(field_name)
    return proto


def no_outputs() -> ModelProto:
    proto = mlp()
    proto.graph.ClearField("output")
    return proto


def opsets(*pairs: tuple[str, int]) -> ModelProto:
    return mlp(opset_imports=[helper.make_opsetid(*pair) for pair in pairs])


def typed(of: str, **kwargs: object) -> ModelProto:
    """A model whose input is no tensor."""
    elem = helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3])
    kinds = {
        "sequence": lambda: helper.make_sequence_type_proto(elem),
        "map": lambda: helper.make_map_type_proto(TensorProto.INT64, elem),
        "optional": lambda: helper.make_optional_type_proto(elem),
        "sparse": lambda: helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, ["N", 3]),
    }
    return model(op("Relu", "x"), inputs=[helper.make_value_info("x", kinds[of]())])


BYTES: dict[str, Hostile] = {
    "file empty": bad(lambda d: b"", UNREADABLE),
    "file of random bytes": bad(lambda d: random.Random(0).randbytes(5000), UNREADABLE),
    "file of zeros": bad(lambda d: bytes(5000), UNREADABLE),
    "file of text": bad(lambda d: b"Hello, here is the network you asked for.\n" * 9, UNREADABLE),
    "file of HTML": bad(lambda d: b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n", UNREADABLE),
    "file of a pickle": bad(lambda d: pickle.dumps({"w": list(range(99))}), UNREADABLE),
    "file gzipped": bad(lambda d: gzip.compress(mlp().SerializeToString()), UNREADABLE),
    "file is a graph without its model": bad(lambda d: mlp().graph.SerializeToString(), UNREADABLE + "|opset"),
    "file cut to a few bytes": cut(0.02),
    "file cut to a quarter": cut(0.25),
    "file cut to a half": cut(0.5),
    "file cut by a tenth": cut(0.9),
    "file cut in the last bytes": cut(0.995),
    "file twice in a row": bad(lambda d: 2 * mlp().SerializeToString(), r"\b(x|w|v|a|r|y)\b|opset|twice|duplicate"),
    "file missing": bad(lambda d: d / "model.onnx", r"model\.onnx", MISSING),
    "file in a missing folder": bad(lambda d: d / "no" / "model.onnx", r"model\.onnx", MISSING),
    "file is a directory": bad(lambda d: d, IRREGULAR),
    "file is a FIFO": bad(lambda d: made(d / "model.onnx", os.mkfifo(d / "model.onnx")), IRREGULAR),
    "file is a device": bad(lambda d: Path("/dev/zero"), IRREGULAR),
    "file is a link to a device": bad(lambda d: made(d / "m", (d / "m").symlink_to("/dev/zero")), IRREGULAR),
    "file is a link to itself": bad(lambda d: made(d / "m", (d / "m").symlink_to("m")), f"link|loop|levels|{MISSING}"),
    "file is a dangling link": bad(lambda d: made(d / "m", (d / "m").symlink_to("nowhere")), MISSING),
    "file of 5 GiB": bad(lambda d: sparse(d, 5 << 30), BIG),
    "path with a NUL": bad(lambda d: d / "a\0b.onnx", rf"null|NUL|path|name|{MISSING}"),
    "path of 300 letters": bad(lambda d: d / ("a" * 300), r"name|long|path|aaa"),
    "graph missing": bad(lambda d: without("graph"), "graph|input|output|nodes"),
    "graph empty": bad(lambda d: model(y=""), "output|node|empty|graph"),
    "graph without outputs": bad(lambda d: no_outputs(), "output"),
    "opset 99": bad(lambda d: mlp(opset=99), "opset", "99"),
    "opset 3": bad(lambda d: mlp(opset=3), "opset", r"\b3\b"),
    "opset 0": bad(lambda d: mlp(opset=0), "opset", r"\b0\b"),
    "opset negative": bad(lambda d: mlp(opset=-17), "opset", "-17"),
    "opset 2^62": bad(lambda d: mlp(opset=1 << 62), "opset", "46116860|4,611,686,0"),
    "opset_import missing": bad(lambda d: without("opset_import"), "opset"),
    "opset_import of another domain alone": bad(lambda d: opsets(("com.example", 1)), "opset"),
    "opset_import twice, contradicting": bad(lambda d: opsets(("", 17), ("", 9)), "opset"),
    "opset 2^40 of another domain, and another fault": bad(
        lambda d: model(
            op("Conv", "x"), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("r", 1 << 40)]
        ),
        "Conv|opset|operator set",
    ),
    "ir_version 999": bad(lambda d: mlp(ir_version=999), "ir.?version", "999"),
    "ir_version missing": bad(lambda d: without("ir_version"), "ir.?version", may_load=True),
    "ir_version negative": bad(lambda d: mlp(ir_version=-1), "ir.?version", may_load=True),
    "name of a node not UTF-8": bad(
        lambda d: not_utf8(mlp(), "the_relu"), r"utf|decode|text|pars|string", may_load=True
    ),
    "name of an operator not UTF-8": bad(lambda d: not_utf8(mlp(), "Relu"), r"utf|decode|text|pars|string|op"),
    "name of a weight not UTF-8": bad(
        lambda d: not_utf8(model(op("Add", "x weight"), tensors=[tensor_named("weight")]), "weight"),
        r"utf|decode|text|pars|string|name",
        may_load=True,
    ),
    "name of the graph not UTF-8": bad(lambda d: not_utf8(mlp(), "graph"), r"utf|decode|text|pars", may_load=True),
    "nodes: 50,000, one behind the other": bad(lambda d: chain(50_000), BIG, "node", may_load=True),
    "nodes: 10^6": bad(lambda d: chain(10**6), BIG, "node", slow=True),
    "nodes: 3000, one behind the other": bad(lambda d: chain(3000), BIG, "node", may_load=True),
    "nodes: 3000 of one name": bad(lambda d: chain(3000, b"same"), BIG, "node", may_load=True),
    "nodes: 3000 constants": bad(lambda d: constants(3000), BIG, "node", may_load=True),
    "nodes: 3 * 10^6, empty": bad(lambda d: around(b"\x0a\x00" * 3_000_000), f"{BIG}|op_type|empty|operator", "node"),
    "nodes nested 10 levels deep": bad(lambda d: nested(10), r"\bIf\b|subgraph|nest|branch"),
    "nodes nested 90 levels deep": bad(lambda d: nested(90), rf"\bIf\b|subgraph|nest|branch|{UNREADABLE}"),
    "nodes nested 1000 levels deep": bad(lambda d: nested(1000), rf"\bIf\b|nest|deep|depth|{UNREADABLE}"),
    "nodes nested 5000 levels deep": bad(lambda d: nested(5000), rf"\bIf\b|nest|deep|depth|{UNREADABLE}"),
    "input twice": bad(lambda d: model(op("Relu", "x"), inputs=[value("x", [1, 3]), value("x", [1, 4])]), r"\bx\b"),
    "input without a type": bad(
        lambda d: model(op("Relu", "x"), inputs=[helper.make_empty_tensor_value_info("x")]), r"\bx\b", may_load=True
    ),
    "input without a rank": bad(lambda d: model(op("Relu", "x"), x=None), r"\bx\b", "shape|rank|dim", may_load=True),
    "input of 2^40 a side": bad(
        lambda d: model(op("Relu", "x"), x=["N", 3, 1 << 40, 1 << 40]), r"\bx\b", BIG, may_load=True
    ),
    "input of negative size": bad(lambda d: model(op("Relu", "x"), x=["N", -7]), r"\bx\b", "-7"),
    "input of 10^5 dimensions": bad(
        lambda d: model(op("Relu", "x"), x=[1] * 100_000), r"\bx\b", "dim|rank|shape", may_load=True
    ),
    "input of strings": bad(
        lambda d: model(op("Cast", "x", to=1), inputs=[value("x", ["N", 3], TensorProto.STRING)]), r"\bx\b", "string"
    ),
    "input of dtype 77": bad(lambda d: model(op("Cast", "x", to=1), inputs=[value("x", ["N", 3], 77)]), r"\bx\b", "77"),
    "input is a sequence": bad(lambda d: typed("sequence"), r"\bx\b", "sequence|type|tensor"),
    "input is a map": bad(lambda d: typed("map"), r"\bx\b", "map|type|tensor"),
    "input is optional": bad(lambda d: typed("optional"), r"\bx\b", "optional|type|tensor"),
    "input is sparse": bad(lambda d: typed("sparse"), r"\bx\b", "sparse|type|tensor"),
    "output from nowhere": bad(lambda d: model(op("Relu", "x", "a"), y="nowhere"), "nowhere"),
    "output twice": bad(lambda d: model(op("Relu", "x"), y="y y"), r"\by\b", may_load=True),
    "output is a weight": bad(lambda d: model(y="weight", tensors=[tensor_named("weight")]), "weight", may_load=True),
    "output is an unread weight behind a node": bad(
        lambda d: model(op("Relu", "x"), y="y weight", tensors=[tensor_named("weight")]), "weight", may_load=True
    ),
    "output is the input": bad(lambda d: model(y="x"), r"\bx\b|node", may_load=True),
}


def tensor_named(name: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1, 3], [1, 2, 3])
