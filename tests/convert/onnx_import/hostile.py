"""Files that no reader of ONNX may trust, and valid ones with names that invite a mistake.

Each of ``HOSTILE`` makes one file in a folder and says what a good message about it speaks of. ``NAMES`` are valid
models with nasty names, which must load and compute what they say.
"""

from __future__ import annotations

import numpy as np
from hostile_build import Hostile, model, op, rand, value
from hostile_bytes import BYTES
from hostile_graphs import GRAPHS
from hostile_shapes import SHAPES
from hostile_tensors import TENSORS
from onnx import ModelProto

HOSTILE: dict[str, Hostile] = {**BYTES, **TENSORS, **GRAPHS, **SHAPES}

# Whoever builds Python from names of the file, runs this one; the sandbox looks for the file PWNED.
CODE = 'x"); __import__("os").system("touch PWNED")  #'
W, V = rand(3, 8), rand(8, 2)


def named(
    x: str = "x",
    w: str = "w",
    a: str = "a",
    r: str = "r",
    v: str = "v",
    y: str = "y",
    nodes: tuple[str, ...] = ("1", "2", "3"),
) -> ModelProto:
    """``y = relu(x @ w) @ v`` in these names."""
    made = op("MatMul", "1 2", "3"), op("Relu", "1", "2"), op("MatMul", "1 2", "3")
    for node, name, inputs, output in zip(made, nodes, ((x, w), (a,), (r, v)), (a, r, y), strict=True):
        node.name, node.input[:], node.output[:] = name, inputs, [output]  # names may have spaces
    proto = model(*made, inputs=[value(x, ["N", 3])], weights={w: W, v: V})
    proto.graph.output[0].name = y
    return proto


def all_of(name: str) -> ModelProto:
    """Every value and every node named in this way, with a number where they must differ."""
    return named(*(name + str(i or "") for i in range(6)), nodes=(name, f"{name}1", f"{name}2"))


def expected(x: np.ndarray) -> np.ndarray:
    return np.maximum(x @ W, 0) @ V


NAMES: dict[str, ModelProto] = {
    "code": all_of(CODE),
    "code on a line of its own": all_of('x\n__import__("os").system("touch PWNED")\n'),
    "code in braces": all_of('{__import__("os").system("touch PWNED")}'),
    "code in quotes": all_of("'''\"\"\"\\'+__import__('os').system('touch PWNED')+'"),
    "code for a shell": all_of("$(touch PWNED)`touch PWNED`;touch PWNED|"),
    "attribute behind a dot": all_of("a.__class__.__init__"),
    "percent": all_of("%s%n%(x)s{}{0}{x}"),
    "path": all_of("../../PWNED"),
    "absolute path": all_of("/PWNED"),
    "newlines": all_of("a\r\n\tb\v\f\x85\u2028"),
    "NUL": all_of("a\0b"),
    "control characters": all_of("\x1b[2J\x1b]0;title\x07"),
    "unicode": all_of("神经元⚡é\u202e\u200d"),
    "10^5 letters": all_of("a" * 100_000),
    "space": all_of(" "),
    "dot": all_of("."),
    "digits": all_of("0"),
    "dunder": all_of("__dict__"),
    "keywords": named("class", "lambda", "import", "None", "yield", "return", ("def", "pass", "if")),
    "names of a module": named(
        "forward", "training", "state_dict", "self", "parameters", "_modules", ("weight", "bias", "name")
    ),
    "methods of a module": named(
        "to", "eval", "__init__", "T_destination", "buffers", "__call__", ("half", "type", "dump_patches")
    ),
    "names of the library": named("torch", "nn", "Tensor", "F", "relu", "device", ("inf", "nan", "operator")),
    "names of a traced graph": named(
        "relu", "relu_1", "matmul", "matmul_1", "getattr_1", "output", ("input", "placeholder", "root")
    ),
    "one value named like another's number": named("a_1", "a", "a_2", "a_1_1", "a_1_2", "a_3", ("a", "a_2", "a_1")),
    "same once cleaned": named("a.b", "a_b", "a/b", "a b", "a-b", "a:b", ("a.b", "a_b", "a/b")),
    "same once lowered": named("AB", "ab", "Ab", "aB", "A_B", "a_b", ("N", "n", "NN")),
    "same once normalised": named("é", "e\u0301", "ﬁ", "fi", "Ⅷ", "VIII", ("é", "e\u0301", "ﬁ")),
    "same but for a space": named("a", "a ", " a", "a  ", "\ta", "a\n", ("a", "a ", " a")),
    "nothing but punctuation": named("!", "?", "-", "_", "__", "/", ("!", "?", "-")),
    "nodes without names": named(nodes=("", "", "")),
    "nodes of one name": named(nodes=("n", "n", "n")),
    "nodes named like values": named(nodes=("y", "a", "x")),
    "nodes named like folders": named(nodes=("/features/0", "/features", "/features/0/relu")),
    "nodes named like modules": named(nodes=("0.1", "0", "0.1.2")),
}
