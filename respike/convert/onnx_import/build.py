"""From a checked graph to a module: prune, fold, fuse, and build each node by the table."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...text import shown
from ..errors import ConversionError, Refusal
from . import limits, ops
from .choose_outputs import suggested
from .free_batch_size import rebatch
from .module import Input, OnnxModule
from .node_module import Call, Slot, Step
from .node_order import label
from .node_view import Node, NodeError, Numbers, Value, Varies
from .operator_table import ARITHMETIC, BUILDERS, CUT, KNOWN_REFUSALS, VERSIONS
from .read_file import opsets, read
from .strided_views import Views
from .submodule_names import identifier
from .tensors import TensorReader, dtype

_NARROW = {TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16}
_WRAPS = frozenset("Add Sub Mul Neg Abs Sum Pow Div ReduceSum ReduceProd MatMul Gemm CastLike".split())


class _Unknown:
    """Marks a value that stands behind a refused node."""


class _Text:
    """Marks a constant of strings, the names of classes say."""


def load(path: str | os.PathLike[str], outputs: Sequence[str] | None = None) -> OnnxModule:
    """See ``load_onnx``."""
    model = read(path)
    return _Builder(model, Path(path)).build(outputs)


class _Builder:
    def __init__(self, model: Any, path: Path) -> None:
        self.graph, self.path, self.versions = model.graph, path, opsets(model)
        self.reader = TensorReader(path.parent)
        self.initializers = {t.name: t for t in self.graph.initializer}
        self.values: dict[str, Any] = {}
        self.steps: dict[str, Step] = {}
        self.refused: list[Refusal] = []
        self.taken: dict[str, int] = {}
        self.maker: dict[str, str] = {}
        codes = {i.name: i.type.tensor_type.elem_type for i in self.graph.input}
        codes |= {name: t.data_type for name, t in self.initializers.items()}
        self.narrow = {name for name, code in codes.items() if code in _NARROW}
        self.fates: dict[str, str] = {}
        self.budget = 0

    def build(self, wanted: Sequence[str] | None) -> OnnxModule:
        outputs = self._choose(wanted)
        self._spell_views()
        nodes = self._needed(outputs)
        inputs = self._inputs(nodes, outputs)
        self.values.update({spec.name: Varies for spec in inputs})
        self.readers = _readers(nodes, outputs)
        for index, proto in nodes:
            self._node(index, proto)
        if self.refused:
            n = len(self.refused)
            raise ConversionError(
                f"{n} node{'s' if n > 1 else ''} of {self.path.name} cannot be imported:", self.refused
            )
        constants = {name: x for name in outputs if isinstance(x := self._value(name), Tensor)}
        module = OnnxModule(inputs, outputs, self.steps, constants, self.fates).eval()
        rebatch(module)
        return module

    def _choose(self, wanted: Sequence[str] | None) -> list[str]:
        """Names of the outputs, each made somewhere and a tensor."""
        made = {name for node in self.graph.node for name in node.output if name}
        known = made | set(self.initializers) | {i.name for i in self.graph.input}
        types = {o.name: o.type.WhichOneof("value") for o in self.graph.output}
        names = list(types) if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
        if not names:
            raise ConversionError(f"{self.path.name} has no outputs")
        for name in names:
            if name not in known:
                raise ConversionError(
                    f"nothing in {self.path.name} is called {shown(name)!r}; its outputs are "
                    + ", ".join(shown(n) for n in types)
                )
            if name in self.initializers and self.initializers[name].data_type == TensorProto.STRING:
                raise ConversionError(f"the output {shown(name)!r} is text, not numbers")
            if types.get(name, "tensor_type") not in ("tensor_type", None):
                instead = ", ".join(repr(shown(n)) for n in suggested(self.graph))
                raise ConversionError(
                    f"the output {shown(name)!r} is a {types[name].removesuffix('_type')}, not a tensor"
                    + (f"; take the numbers it is made from: outputs=[{instead}]" if instead else "")
                )
        return list(dict.fromkeys(names))

    def _spell_views(self) -> None:
        """Views of other strides that have the values in their order become reshapes."""
        views = Views(self.graph, self._whole_numbers)
        spelled = [step for node in self.graph.node for step in views.spelled(node)]
        self.values.update({name: torch.tensor(numbers) for name, numbers in views.lists.items()})
        if views.lists:
            del self.graph.node[:]
            self.graph.node.extend(spelled)

    def _whole_numbers(self, name: str, most: int) -> Any:
        proto = self.initializers.get(name)
        if proto is None or proto.data_type != TensorProto.INT64 or math.prod(proto.dims) > most:
            return None
        return self._value(name).numpy()

    def _needed(self, outputs: Sequence[str]) -> list[tuple[int, Any]]:
        """The nodes that the outputs depend on."""
        needed, kept = set(outputs), []
        for index, node in reversed(list(enumerate(self.graph.node))):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append((index, node))
        return kept[::-1]

    def _inputs(self, nodes: Sequence[tuple[int, Any]], outputs: Sequence[str]) -> list[Input]:
        read = {name for _, node in nodes for name in node.input} | set(outputs)
        found = []
        for value in self.graph.input:
            if value.name in self.initializers:
                continue
            what = f"input {shown(value.name)!r}"
            if value.type.WhichOneof("value") != "tensor_type":
                if value.name not in read:
                    continue
                raise ConversionError(f"{what} is not a tensor")
            tensor = value.type.tensor_type
            shape = tuple(_length(d, what) for d in tensor.shape.dim) if tensor.HasField("shape") else None
            found.append(Input(value.name, shape, dtype(tensor.elem_type, what)))
        return [spec for spec in found if spec.name in read] or found

    def _node(self, index: int, proto: Any) -> None:
        """Build one node; what cannot be built is noted, so that all of it is listed at once."""
        name = label(proto, index)
        values: list[Any] = [self._value(n) for n in proto.input]
        try:
            for written in proto.output:
                self.values[written] = _Unknown
            builder = self._find(proto, values)
            if not any(v is _Unknown for v in values):
                self._build(name, proto, builder, values)
        except NodeError as error:
            self.refused.append(Refusal(f"{shown(name)} ({shown(proto.op_type)})", error.why, error.todo))

    def _find(self, proto: Any, values: Sequence[Any]) -> Any:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        if domain not in VERSIONS:
            raise NodeError(
                f"is of the domain {shown(domain)!r}, whose operators are not known", "use standard operators"
            )
        if domain not in self.versions:
            raise NodeError(f"is of the domain {domain or 'ai.onnx'!r}, whose operator set the file does not declare")
        text = next((name for name, value in zip(proto.input, values, strict=True) if value is _Text), None)
        if text is not None:
            reads = (f"reads text ({shown(text)!r}, of element type STRING), which has no place in a network", CUT)
            raise NodeError(*KNOWN_REFUSALS.get(proto.op_type, reads))
        kinds = {v for v in values if isinstance(v, type)}
        if any(isinstance(v, Tensor) and not _is_number(v) for v in values):
            kinds.add(Varies)  # data, not shapes: a table of positions, say, that is cut to length
        if domain == "" and proto.op_type in ARITHMETIC and kinds == {Numbers}:
            return ARITHMETIC[proto.op_type]
        if (domain, proto.op_type) not in BUILDERS:
            unknown = ("has no builder: it is not in the importer's table", "use operators that are, or add a builder")
            raise NodeError(*KNOWN_REFUSALS.get(proto.op_type, unknown))
        return BUILDERS[domain, proto.op_type]

    def _value(self, name: str) -> Any:
        if not name:
            return None
        if name not in self.values and name in self.initializers:
            if self.initializers[name].data_type == TensorProto.STRING:
                return _Text
            self.values[name] = self.reader.read(self.initializers[name], f"the weight {shown(name)!r}")
            self.budget += 8 * self.values[name].numel()
        return self.values[name]

    def _build(self, name: str, proto: Any, builder: Any, values: Sequence[Value]) -> None:
        writes = [n if n in self.readers else "" for n in proto.output]
        while len(writes) > 1 and not writes[-1]:
            writes.pop()
        version = self.versions["" if proto.domain == "ai.onnx" else proto.domain]
        node = Node(proto, name, version, values, writes, self.reader)
        call = builder(node)
        node.check_attributes()
        self._check_width(proto)
        reads = [n for n, v in zip(proto.input, values, strict=True) if isinstance(v, type)]
        if not reads:
            self._fold(Step(name, proto.op_type, call, (), writes))
            self.fates[name] = "constant"
        elif self._is_bias(call, reads, writes):
            self.fates[name] = f"bias of {shown(self.steps[self.maker[reads[0]]].label)}"
        else:
            path = identifier(name, self.taken)
            self.steps[path] = Step(name, proto.op_type, call, reads, writes)
            for n in writes:
                self.values[n] = Numbers if call.numbers else Varies
                self.maker[n] = path

    def _check_width(self, proto: Any) -> None:
        """Narrow whole numbers wrap around, and here all have 64 bits: they may be moved and cast, no more."""
        if proto.op_type in _WRAPS and any(name in self.narrow for name in proto.input):
            raise NodeError("computes with 8 or 16 bit whole numbers, which wrap around", "cast them to float first")
        to = next((a.i for a in proto.attribute if a.name == "to"), 0) if proto.op_type == "Cast" else 0
        if to in _NARROW:
            self.narrow.update(proto.output)

    def _fold(self, step: Step) -> None:
        """Compute what depends on no input, after a look at its size."""
        where = f"node {shown(step.label)!r} ({step.op_type})"
        module = OnnxModule((), step.writes, {"step": step}, {})
        sizes: list[int] = []
        with FlopCounterMode(display=False) as counter:
            module.dry_run((), lambda step, given, made: sizes.extend(size(x) for x in made))
        if counter.get_total_flops() > limits.FOLDED_PRODUCTS:
            raise ConversionError(f"{where} multiplies constants for too long; let the exporter fold them")
        made_of_one = step.op_type == "ConstantOfShape"  # it allocates one element
        # What it reads counts too: values that are stored once may have to be written out.
        self.budget -= 0 if made_of_one else sum(sizes) + sum(x.numel() for x in (*step.buffers(), *step.parameters()))
        if self.budget < -limits.FOLDED_ELEMENTS:
            raise ConversionError(f"{where} computes constants far larger than the weights of the file")
        with torch.no_grad():
            made = module.run(())
        for name, x in zip(step.writes, made if isinstance(made, tuple) else (made,), strict=True):
            if x.is_floating_point() and not made_of_one and bool(x.isnan().any()):
                raise ConversionError(f"{where} computes NaN from the file's constants")
            self.values[name] = x.detach()

    def _is_bias(self, call: Call, reads: Sequence[str], writes: Sequence[str]) -> bool:
        """A constant vector added to a matrix product becomes the bias of one linear layer."""
        bias = next((a for a in call.args if isinstance(a, Tensor)), None)
        path = self.maker.get(reads[0])
        if call.function is not ops.add or bias is None or path is None or self.readers[reads[0]] != 1:
            return False
        linear = self.steps[path]
        if linear.function not in (ops.linear, ops.linear_rows) or "bias" in linear.options:
            return False
        weight = linear.get_parameter("weight")
        # Leading axes of one broadcast away, but more than the product has would add an axis.
        if bias.dim() > 2 or bias.shape != (1,) * (bias.dim() - 1) + weight.shape[:1] or not bias.is_floating_point():
            return False
        fused = Call(linear.function, (Slot(0),), {"weight": weight, "bias": nn.Parameter(bias.reshape(-1))})
        self.steps[path] = Step(linear.label, linear.op_type, fused, linear.reads, writes)
        self.values[writes[0]], self.maker[writes[0]] = Varies, path
        return True


def _is_number(value: Tensor) -> bool:
    """Whether a constant can be part of shape arithmetic."""
    return value.numel() <= (1 if value.is_floating_point() else limits.AXES)


def size(value: Any) -> int:
    """Elements of a tensor, or of an array of numbers."""
    return value.numel() if isinstance(value, Tensor) else int(np.size(value))


def _readers(nodes: Sequence[tuple[int, Any]], outputs: Sequence[str]) -> Counter[str]:
    """By value how often it is read, being an output of the network included."""
    return Counter([*outputs, *(name for _, node in nodes for name in node.input)])


def _length(dim: Any, what: str) -> int | None:
    if not dim.HasField("dim_value"):
        return None
    n = int(dim.dim_value)
    if not -1 <= n <= limits.ELEMENTS:
        raise ConversionError(f"{what} declares an axis of length {n}")
    return n if n > 0 else None  # 0 and -1 are how some exporters leave it open
