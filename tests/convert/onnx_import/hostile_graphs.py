"""Graphs and nodes that cannot be computed, that nobody could pay for, or that are more than a ReLU network."""

from __future__ import annotations

from typing import Any

import numpy as np
from hostile_build import (
    BIG,
    FIT,
    MAX,
    Hostile,
    bad,
    batch_norm,
    conv,
    image,
    mlp,
    model,
    not_utf8,
    op,
    rand,
    scalar,
    unary,
    value,
)
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper


def pool(kind: str = "MaxPool", **attributes: Any) -> ModelProto:
    return image(op(kind, "x", **{"kernel_shape": [2, 2], **attributes}))


def branch(name: str) -> Any:
    return helper.make_graph([op("Relu", "x", name)], name, [], [value(name, None)])


def branches() -> ModelProto:
    yes, no = branch("yes"), branch("no")
    inputs = value("x", ["N", 3]), value("c", [], TensorProto.BOOL)
    return model(op("If", "c", then_branch=yes, else_branch=no), inputs=inputs)


def loop() -> ModelProto:
    body = helper.make_graph(
        [op("Identity", "go", "on"), op("Relu", "state", "next")],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("state", None)],
        [value("on", [], TensorProto.BOOL), value("next", None)],
    )
    return model(op("Loop", "n go x", body=body), weights={"n": scalar(MAX), "go": np.array(True)})


def scan() -> ModelProto:
    body = helper.make_graph(
        [op("Add", "s e", "t"), op("Identity", "t", "u")],
        "body",
        [value("s", [3]), value("e", [3])],
        [value("t", [3]), value("u", [3])],
    )
    return model(op("Scan", "s x", "last y", body=body, num_scan_inputs=1), weights={"s": rand(3)})


def functions(**bodies: NodeProto) -> ModelProto:
    """A model that calls ``f``, with functions of one node each."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    made = [helper.make_function("local", name, ["x"], ["y"], [body], opsets) for name, body in bodies.items()]
    return model(op("f", "x", domain="local"), opset_imports=opsets, functions=made)


def bombs(n: int) -> dict[str, NodeProto]:
    """Functions of which each calls the next."""
    return {f"f{i or ''}": op(f"f{i + 1}", "x", domain="local") for i in range(n)}


def custom(domain: str, op_type: str) -> ModelProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    return model(op(op_type, "x", domain=domain), opset_imports=opsets)


def altered(proto: ModelProto, **fields: Any) -> ModelProto:
    """The first node's first attribute with other fields than it says it has."""
    attribute: AttributeProto = proto.graph.node[0].attribute[0]
    for name, said in fields.items():
        setattr(attribute, name, said)
    return proto


def repeated(proto: ModelProto) -> ModelProto:
    proto.graph.node[0].attribute.append(proto.graph.node[0].attribute[0])
    return proto


def lstm() -> ModelProto:
    weights = {"w": rand(1, 20, 3), "r": rand(1, 20, 5)}
    return model(op("LSTM", "x w r", hidden_size=5), x=(4, "N", 3), weights=weights)


def quantized(kind: str) -> ModelProto:
    weights = {"s": np.array(0.1, np.float32), "z": np.array(0, np.uint8), "w": np.ones((4, 3, 3, 3), np.uint8)}
    quantize, back = op("QuantizeLinear", "x s z", "q"), op("DequantizeLinear", "p s z")
    inner = {
        "QLinearConv": op("QLinearConv", "q s z w s z s z", "p"),
        "ConvInteger": op("ConvInteger", "q w", "p"),
        "DequantizeLinear": op("Identity", "q", "p"),
        "DynamicQuantizeLinear": op("DynamicQuantizeLinear", "x", "p s2 z2"),
    }
    return image(quantize, inner[kind], back, weights=weights)


def dropout() -> ModelProto:
    weights = {"ratio": np.array(0.5, np.float32), "training": np.array(True)}
    return model(op("Dropout", "x ratio training"), weights=weights)


def relu(inputs: str = "x", outputs: str = "y", **fields: Any) -> ModelProto:
    return model(op("Relu", inputs, outputs), **fields)


GRAPHS: dict[str, Hostile] = {
    # wired wrongly
    "value from nowhere": bad(lambda d: relu("nowhere"), "nowhere"),
    "value written twice": bad(
        lambda d: model(op("Relu", "x"), op("Neg", "x")),
        r"\by\b",
        "unique|single|twice|two|more than|again|already|several|duplicate",
    ),
    "value written twice by one node": bad(lambda d: model(op("Split", "x", "y y", axis=0)), r"\by\b"),
    "value written over the input": bad(lambda d: model(op("Relu", "x", "x"), op("Neg", "x")), r"\bx\b"),
    "cycle of two": bad(lambda d: model(op("Relu", "b", "a"), op("Relu", "a", "b"), op("Add", "x a")), r"\b[ab]\b"),
    "cycle of one": bad(lambda d: relu("y"), r"\by\b"),
    "nodes out of order": bad(lambda d: model(op("Neg", "a"), op("Relu", "x", "a")), r"\ba\b", may_load=True),
    "node without inputs": bad(lambda d: relu(""), "Relu", "input|argument|takes"),
    "node with an input too many": bad(lambda d: relu("x x"), "Relu", "input|argument|takes"),
    "node with a needed input left out": bad(
        lambda d: model(op("Conv", "x -")), "Conv", "input|argument|takes|weight|missing"
    ),
    "node without outputs": bad(lambda d: model(op("Relu", "x", ""), op("Neg", "x")), "Relu", "output", may_load=True),
    "node with an output too many": bad(lambda d: relu(outputs="y z", y="z"), r"Relu|\bz\b", "output"),
    "node of 10^5 inputs": bad(lambda d: relu("x " * 100_000), "Relu", "input|argument|takes"),
    # operators that are none of ours
    "operator of another domain": bad(lambda d: custom("com.example", "Frobnicate"), "Frobnicate", r"com\.example"),
    "operator of a domain not imported": bad(lambda d: model(op("Foo", "x", domain="a.b")), r"a\.b"),
    "operator of another domain, with a known name": bad(
        lambda d: custom("com.example", "Relu"), "Relu", r"com\.example"
    ),
    "operator unknown": bad(lambda d: model(op("Frobnicate", "x")), "Frobnicate"),
    "operator without a name": bad(lambda d: model(op("", "x", name="the_one")), "the_one|operator|op_type|y"),
    "operator named in a dunder": bad(lambda d: model(op("__class__", "x")), "__class__"),
    "operator of 10^5 letters": bad(lambda d: model(op("A" * 100_000, "x")), "AAAA"),
    "operator of control characters": bad(lambda d: model(op("A\x1b[2J\x1b]0;title\x07\r\n\u202eB", "x")), "A"),
    "operator newer than the opset": bad(lambda d: model(op("Gelu", "x"), opset=13), "Gelu", may_load=True),
    "operator withdrawn": bad(
        lambda d: unary("Upsample", scales=np.array([1, 1, 2, 2], np.float32)), "Upsample", may_load=True
    ),
    "function": bad(lambda d: functions(f=op("Relu", "x")), r"\bf\b|function|local", may_load=True),
    "function that calls itself": bad(lambda d: functions(f=op("f", "x", domain="local")), r"\bf\b|function|local"),
    "functions that call each other": bad(
        lambda d: functions(f=op("g", "x", domain="local"), g=op("f", "x", domain="local")), r"\b[fg]\b|function|local"
    ),
    "functions 1000 calls deep": bad(
        lambda d: functions(**bombs(1000), f1000=op("Relu", "x")), r"\bf\d*\b|function", may_load=True
    ),
    "function in the default domain's name": bad(
        lambda d: mlp(functions=[helper.make_function("", "Relu", ["x"], ["y"], [op("Neg", "x")], [])]),
        "function|Relu",
        may_load=True,
    ),
    "subgraph of If": bad(lambda d: branches(), r"\bIf\b"),
    "subgraph of Loop": bad(lambda d: loop(), r"\bLoop\b"),
    "subgraph of Scan": bad(lambda d: scan(), r"\bScan\b"),
    "subgraph where none belongs": bad(lambda d: unary("Relu", body=branch("b")), "Relu", may_load=True),
    "recurrence": bad(lambda d: lstm(), "LSTM"),
    "quantised: QLinearConv": bad(lambda d: quantized("QLinearConv"), "QLinearConv|QuantizeLinear"),
    "quantised: ConvInteger": bad(lambda d: quantized("ConvInteger"), "ConvInteger|QuantizeLinear"),
    "quantised: DequantizeLinear": bad(lambda d: quantized("DequantizeLinear"), "QuantizeLinear", may_load=True),
    "quantised: DynamicQuantizeLinear": bad(lambda d: quantized("DynamicQuantizeLinear"), "QuantizeLinear"),
    "strings: StringNormalizer": bad(lambda d: unary("StringNormalizer", x=["N"]), "StringNormalizer"),
    "strings: Cast to string": bad(lambda d: unary("Cast", to=TensorProto.STRING), "Cast", "string|type"),
    "random numbers": bad(lambda d: model(op("RandomNormal", "", "r", shape=[3]), op("Add", "x r")), "RandomNormal"),
    "training: BatchNormalization": bad(
        lambda d: batch_norm(y="y m v", training_mode=1), "BatchNormalization", "training"
    ),
    "training: Dropout": bad(lambda d: dropout(), "Dropout", "training"),
    # attributes
    "attribute: strides a number": bad(lambda d: conv(strides=1.5), "Conv", "strides"),
    "attribute: strides a string": bad(lambda d: conv(strides="two"), "Conv", "strides"),
    "attribute: strides floats": bad(lambda d: conv(strides=[1.5, 1.5]), "Conv", "strides"),
    "attribute: strides a tensor": bad(
        lambda d: conv(strides=helper.make_tensor("s", 7, [2], [1, 1])), "Conv", "strides"
    ),
    "attribute: alpha an int": bad(lambda d: unary("LeakyRelu", alpha=1), "LeakyRelu", "alpha", may_load=True),
    "attribute: alpha NaN": bad(lambda d: unary("LeakyRelu", alpha=float("nan")), "LeakyRelu", "alpha", may_load=True),
    "attribute: auto_pad not UTF-8": bad(lambda d: conv(auto_pad=b"\xff\xfe"), "Conv", "auto_pad"),
    "attribute: name not UTF-8": bad(lambda d: not_utf8(conv(group=1), "group"), "utf|decode|text|pars|attribute"),
    "attribute: auto_pad unknown": bad(lambda d: conv(auto_pad="SAME_SOMEHOW"), "Conv", "auto_pad"),
    "attribute: twice": bad(lambda d: repeated(conv(group=1)), "Conv", "group"),
    "attribute: unknown": bad(lambda d: conv(frobnicate=1), "Conv", "frobnicate", may_load=True),
    "attribute: of a function's argument": bad(
        lambda d: altered(conv(group=1), ref_attr_name="g"), "Conv", "group|attribute"
    ),
    "attribute: of a type that it is not": bad(
        lambda d: altered(conv(group=1), type=AttributeProto.INTS), "Conv", "group"
    ),
    "attribute: of no type": bad(lambda d: altered(conv(group=1), type=0), "Conv", "group", may_load=True),
    "attribute: 10^6 strides": bad(lambda d: conv(strides=[1] * 10**6), "Conv", "strides"),
    "attribute: 10^6 pads": bad(lambda d: conv(pads=[1] * 10**6), "Conv", "pads"),
    "attribute: 10^6 axes": bad(lambda d: unary("ReduceMean", axes=[1] * 10**6), "ReduceMean", "axes|axis"),
    "attribute: 10^6 permutations": bad(lambda d: unary("Transpose", perm=[0] * 10**6), "Transpose", "perm"),
    # convolution and pools
    "conv: group 0": bad(lambda d: conv(group=0), "Conv", "group"),
    "conv: group negative": bad(lambda d: conv(group=-1), "Conv", "group"),
    "conv: group does not divide": bad(lambda d: conv(group=2), "Conv", f"group|{FIT}"),
    "conv: group 2^62": bad(lambda d: conv(group=1 << 62), "Conv", "group"),
    "conv: kernel_shape contradicts the weights": bad(lambda d: conv(kernel_shape=[5, 5]), "Conv", "kernel_shape"),
    "conv: strides 0": bad(lambda d: conv(strides=[0, 0]), "Conv", "strides"),
    "conv: strides negative": bad(lambda d: conv(strides=[-1, 1]), "Conv", "strides"),
    "conv: strides 2^62": bad(lambda d: conv(strides=[1 << 62] * 2), "Conv", "strides", may_load=True),
    "conv: strides of another rank": bad(lambda d: conv(strides=[1, 1, 1]), "Conv", "strides"),
    "conv: dilations negative": bad(lambda d: conv(dilations=[-1, -1]), "Conv", "dilations"),
    "conv: dilations 2^62": bad(lambda d: conv(dilations=[1 << 62] * 2), "Conv", f"dilations|{FIT}"),
    "conv: pads negative": bad(lambda d: conv(pads=[-9, -9, -9, -9]), "Conv", "pads"),
    "conv: pads 2^40": bad(lambda d: conv(pads=[1 << 40] * 4), "Conv", f"pads|{BIG}"),
    "conv: pads too few": bad(lambda d: conv(pads=[1, 1]), "Conv", "pads"),
    "conv: weights of another rank": bad(lambda d: conv(w=(4, 3)), "Conv", FIT),
    "conv: weights of other channels": bad(lambda d: conv(w=(4, 5, 3, 3)), "Conv", FIT),
    "conv: weights of 0 channels": bad(lambda d: conv(w=(0, 3, 3, 3)), "Conv", f"0|empty|{FIT}", may_load=True),
    "conv: kernel larger than the image": bad(lambda d: conv(w=(4, 3, 9, 9)), "Conv", f"kernel|{FIT}"),
    "conv: transposed, output_shape 2^40": bad(
        lambda d: image(op("ConvTranspose", "x w", output_shape=[1 << 40] * 2), weights={"w": rand(3, 4, 2, 2)}),
        "ConvTranspose",
        f"output_shape|{BIG}",
    ),
    "conv: transposed, strides 2^30": bad(
        lambda d: image(op("ConvTranspose", "x w", strides=[1 << 30] * 2), weights={"w": rand(3, 4, 2, 2)}),
        "ConvTranspose",
        f"strides|{BIG}",
    ),
    "pool: kernel 0": bad(lambda d: pool(kernel_shape=[0, 0]), "MaxPool", "kernel"),
    "pool: kernel negative": bad(lambda d: pool(kernel_shape=[-2, -2]), "MaxPool", "kernel"),
    "pool: kernel missing": bad(lambda d: image(op("MaxPool", "x")), "MaxPool", "kernel"),
    "pool: kernel 2^31": bad(lambda d: pool("AveragePool", kernel_shape=[1 << 31] * 2), "AveragePool", f"kernel|{FIT}"),
    "pool: pads 2^31": bad(lambda d: pool("AveragePool", pads=[1 << 31] * 4), "AveragePool", f"pads|{BIG}"),
    "pool: pads of 2^15 around 8 pixels": bad(
        lambda d: pool("AveragePool", kernel_shape=[1 << 16] * 2, pads=[1 << 15] * 4),
        "AveragePool",
        f"kernel|pads|{BIG}",
        may_load=True,
    ),
    "pool: SAME with a kernel of 2^16": bad(
        lambda d: pool("AveragePool", kernel_shape=[1 << 16] * 2, auto_pad="SAME_UPPER"),
        "AveragePool",
        f"kernel|pads|{BIG}",
        may_load=True,
    ),
    "conv: SAME with dilations of 2^16": bad(
        lambda d: conv(auto_pad="SAME_LOWER", dilations=[1 << 16] * 2), "Conv", f"dilations|pads|{BIG}", may_load=True
    ),
    "pool: strides 0": bad(lambda d: pool(strides=[0, 0]), "MaxPool", "strides"),
}
