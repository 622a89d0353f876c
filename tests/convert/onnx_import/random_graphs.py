"""Small ONNX graphs at random, each of which onnxruntime runs: the same graph for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from small_graphs import op

Array = np.ndarray[Any, Any]


class Graph:
    """Grows node by node; a node that onnxruntime does not run is left out again."""

    def __init__(self, seed: int) -> None:
        self.r = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.space = int(self.r.choice([0, 1, 2, 2, 2, 3]))
        lengths = [int(n) for n in self.r.integers(5, 10, self.space)]
        self.x = self.r.normal(size=(3, int(self.r.choice([2, 4])), *lengths)).astype(np.float32)
        self.opset = int(self.r.choice([13, 17, 18, 21]))
        self.batch: Any = self.r.choice([None, 1, 3])
        self.values = {"x": self.x.shape}
        self.last = "x"
        for _ in range(int(self.r.integers(3, 9))):
            self._grow()

    def model(self) -> onnx.ModelProto:
        batch = "N" if self.batch is None else int(self.batch)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *self.x.shape[1:]])],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def run(self, x: Array) -> Array:
        """What onnxruntime computes, in batches of the declared size."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        session = onnxruntime.InferenceSession(self.model().SerializeToString(), options)
        size = len(x) if self.batch is None else int(self.batch)
        return np.concatenate([session.run(None, {"x": x[i : i + size]})[0] for i in range(0, len(x), size)])

    def _grow(self) -> None:
        kept = len(self.nodes), dict(self.constants), self.last
        rank = len(self.values[self.last])
        kinds = _SPATIAL + _ANY if rank > 2 else _FLAT + _ANY
        made = kinds[int(self.r.integers(len(kinds)))](self)
        if made is None:
            return
        self.last = made
        try:
            y = self.run(self.x)
            fits = y.ndim >= 2 and len(y) == 3 and 0 < y.size < 20_000 and bool(np.isfinite(y).all())
        except Exception:  # onnxruntime's own exceptions have no common base
            fits = False
        if fits and np.abs(y).max() < 1e4:
            self.values[made] = y.shape
        else:
            del self.nodes[kept[0] :]
            self.constants, self.last = kept[1], kept[2]

    def shape(self) -> tuple[int, ...]:
        """Of the last value."""
        return self.values[self.last]

    def weight(self, *shape: int, positive: bool = False) -> str:
        """A random constant, scaled so that values neither grow nor vanish."""
        scale = 1 / np.sqrt(max(np.prod(shape[1:]), 1)) if len(shape) > 1 else 0.3
        value = self.r.uniform(0.5, 1.5, shape) if positive else self.r.normal(size=shape) * scale
        return self.constant(value.astype(np.float32))

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node that reads the last value and these."""
        name = f"v{len(self.nodes)}"
        node = op(kind, "", name, **attributes)
        node.input.extend([self.last, *inputs])
        self.nodes.append(node)
        return name

    def some(self, *choices: Any) -> Any:
        return choices[int(self.r.integers(len(choices)))]

    def each(self, *choices: int) -> list[int]:
        """One of them for each spatial axis."""
        return [int(n) for n in self.r.choice(choices, len(self.shape()) - 2)]


def conv(g: Graph) -> str:
    channels, kernel = g.shape()[1], g.each(1, 2, 3)
    groups = channels if g.r.random() < 0.3 else 2 if channels % 2 == 0 and g.r.random() < 0.3 else 1
    out = groups * int(g.r.integers(1, 4))
    ends = (
        {"pads": g.each(0, 1, 2) + g.each(0, 1, 2)}
        if g.r.random() < 0.6
        else {"auto_pad": g.some("SAME_UPPER", "VALID")}
    )
    w, b = g.weight(out, channels // groups, *kernel), g.weight(out)
    return g.add("Conv", w, b, group=groups, strides=g.each(1, 1, 2), dilations=g.each(1, 1, 2), **ends)


def transposed(g: Graph) -> str:
    channels, kernel = g.shape()[1], g.each(1, 2, 3)
    groups = 2 if channels % 2 == 0 and g.r.random() < 0.3 else 1
    w = g.weight(channels, int(g.r.integers(1, 4)), *kernel)
    return g.add("ConvTranspose", w, group=groups, strides=g.each(1, 2), pads=g.each(0, 1) * 2)


def pool(g: Graph) -> str:
    kind = g.some("MaxPool", "AveragePool")
    made: dict[str, Any] = {"kernel_shape": g.each(2, 3), "strides": g.each(1, 2)}
    made |= {"pads": g.each(0, 1) * 2, "ceil_mode": g.some(0, 1)} if g.r.random() < 0.7 else {"auto_pad": "SAME_UPPER"}
    if kind == "AveragePool":
        made["count_include_pad"] = g.some(0, 1)
    if kind == "MaxPool" or g.opset >= 19:
        made["dilations"] = g.each(1, 1, 2)
    return g.add(kind, **made)


def resize(g: Graph) -> str:
    scales = np.array([1, 1, *g.r.choice([0.5, 1.5, 2.0, 1.0], len(g.shape()) - 2)], np.float32)
    how = g.some("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    return g.add("Resize", "", g.constant(scales), mode=g.some("nearest", "linear"), coordinate_transformation_mode=how)


def pad(g: Graph) -> str:
    ends = [0, 0, *g.each(0, 1, 2)]
    return g.add("Pad", g.constant(np.array(ends + ends)), mode=g.some("constant", "reflect", "edge"))


def norm(g: Graph) -> str:
    n = g.shape()[1]
    return g.add("BatchNormalization", g.weight(n), g.weight(n), g.weight(n), g.weight(n, positive=True))


def whole(g: Graph) -> str:
    return g.add(g.some("GlobalAveragePool", "GlobalMaxPool"))


def flatten(g: Graph) -> str:
    if g.r.random() < 0.5 or g.batch is None:
        return g.add("Flatten")
    size = int(np.prod(g.shape()[1:]))
    allow = {"allowzero": 1} if g.opset >= 14 else {}
    return g.add("Reshape", g.constant(np.array([int(g.batch), g.some(size, -1)])), **allow)


def gemm(g: Graph) -> str:
    n, out, flip = g.shape()[1], int(g.r.integers(2, 7)), int(g.r.integers(2))
    w = g.weight(out, n) if flip else g.weight(n, out)
    return g.add("Gemm", w, g.weight(out), alpha=g.some(1.0, 0.5), beta=g.some(1.0, 2.0), transB=flip)


def product(g: Graph) -> str:
    return g.add("MatMul", g.weight(g.shape()[-1], int(g.r.integers(2, 7))))


def unsqueeze(g: Graph) -> str:
    return g.add("Unsqueeze", g.constant(np.array([g.some(1, 2)])))


def activation(g: Graph) -> str:
    kind = g.some("Relu", "Relu", "Relu", "LeakyRelu", "PRelu", "Clip")
    if kind == "PRelu":
        shape = (g.shape()[1], *[1] * (len(g.shape()) - 2))
        return g.add("PRelu", g.constant(np.abs(g.r.normal(size=shape)).astype(np.float32) * 0.3))
    if kind == "Clip":
        return g.add("Clip", g.constant(np.float32(0)), g.constant(np.float32(g.some(1, 6))))
    return g.add(kind, **({"alpha": 0.2} if kind == "LeakyRelu" else {}))


def by_a_constant(g: Graph) -> str:
    kind = g.some("Add", "Sub", "Mul", "Div")
    shape = (g.shape()[1], *[1] * (len(g.shape()) - 2)) if g.r.random() < 0.5 else ()
    return g.add(kind, g.constant(g.r.uniform(0.5, 2.0, shape).astype(np.float32)))


def residual(g: Graph) -> str | None:
    others = [name for name, shape in g.values.items() if shape == g.shape() and name != g.last]
    return g.add("Add", g.some(*others)) if others else None


def joined(g: Graph) -> str | None:
    others = [n for n, s in g.values.items() if len(s) == len(g.shape()) and s[2:] == g.shape()[2:]]
    return g.add("Concat", g.some(*others), axis=1)


def sliced(g: Graph) -> str:
    axis = int(g.r.integers(1, len(g.shape())))
    start, end, step = g.some((0, 2, 1), (1, 9, 1), (0, 9, 2), (-1, -9, -1), (-2, 99, 1))
    return g.add("Slice", *[g.constant(np.array([n])) for n in (start, end, axis, step)])


def reduced(g: Graph) -> str:
    axis = int(g.r.integers(1, len(g.shape())))
    return g.add("ReduceSum", g.constant(np.array([axis])), keepdims=g.some(0, 1))


def mean(g: Graph) -> str:
    axes = [int(g.r.integers(1, len(g.shape())))]
    kind = g.some("ReduceMean", "ReduceMax")
    if g.opset >= 18:
        return g.add(kind, g.constant(np.array(axes)), keepdims=g.some(0, 1))
    return g.add(kind, axes=axes, keepdims=g.some(0, 1))


def turned(g: Graph) -> str:
    rest = [int(a) for a in g.r.permutation(len(g.shape()) - 1) + 1]
    return g.add("Transpose", perm=[0, *rest])


def split(g: Graph) -> str | None:
    n = g.shape()[1]
    if n < 2:
        return None
    name = g.add("Split", g.constant(np.array([1, n - 1])), axis=1)
    g.nodes[-1].output.append(f"{name}b")
    return g.some(name, f"{name}b")


_SPATIAL = [conv, conv, conv, transposed, pool, pool, resize, pad, norm, whole, flatten]
_FLAT = [gemm, gemm, product, unsqueeze, norm]
_ANY = [activation, activation, activation, by_a_constant, residual, joined, sliced, reduced, mean, turned, split]
