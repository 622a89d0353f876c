"""From what ``torch.export`` gives to a ``Graph``: names, paths and shapes, without bookkeeping."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind

from ...text import printable, shown
from ..errors import ConversionError, Refusal
from ..graph import BATCH, DERIVED, Graph, Node, Ref
from ..onnx_import.node_module import Step
from .user_lines import Line, of_trace

# Operations that give back their first argument, as far as values in eval mode go.
_IDENTITY = {
    "aten.alias.default",
    "aten.clone.default",
    "aten.contiguous.default",
    "aten.detach.default",
    "aten.detach_.default",
    "aten.lift_fresh_copy.default",
}
# These need a memory layout that dropping copies, or folding time into the batch, may change.
_VIEWS = {"aten.view.default", "aten._unsafe_view.default"}
_DROPOUT = re.compile(r"aten\.(feature_|alpha_|feature_alpha_)?dropout\.default")
_CAST = re.compile(r"aten\.(_to_copy|to|type_as|_autocast_to.*)\.")
_BOOKKEEPING = re.compile(r"aten\.(_assert|sym_constrain|_functional_assert)")


class Lowering:
    """From an ``ExportedProgram`` to a ``Graph``."""

    def __init__(self, program: torch.export.ExportedProgram, labels: dict[str, tuple[str, str]]) -> None:
        self.program, self.labels = program, labels
        self.values: dict[str, Any] = {}
        self.inputs: dict[str, tuple[int | None, ...]] = {}
        self.leaves: list[Any] = []
        self.integers: dict[str, torch.dtype] = {}
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.lines: dict[str, Line | None] = {}
        self.refused: list[Refusal] = []
        self.batch: Any = None

    def graph(self) -> Graph:
        fx_nodes = list(self.program.graph.nodes)
        specs = iter(self.program.graph_signature.input_specs)
        for n in fx_nodes:
            if n.op == "placeholder":
                self._placeholder(n, next(specs))
        self._refuse_written_buffers(fx_nodes)
        for n in fx_nodes:
            if n.op == "call_function":
                self._call(n)
        if self.refused:
            raise ConversionError("the network cannot be converted:", self.refused)
        call = self.program.call_spec
        assert call.in_spec is not None and call.out_spec is not None
        outputs = self._outputs(fx_nodes[-1])
        leaves, integers = self.leaves, self.integers
        return Graph(self.inputs, self.tensors, self.nodes, outputs, leaves, integers, call.in_spec, call.out_spec)

    def _placeholder(self, n: torch.fx.Node, spec: Any) -> None:
        if spec.kind is InputKind.USER_INPUT:
            value = n.meta.get("val")
            if not isinstance(value, Tensor):
                self.values[n.name] = value
                self.leaves.append(value)
                return
            if not value.is_floating_point():
                self.integers[n.name] = value.dtype
            self.leaves.append(Ref(n.name))
            if self.batch is None and value.dim():
                self.batch = value.shape[0]
            self.inputs[n.name] = self._shape(value)
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            stored = {**self.program.constants, **self.program.state_dict}[spec.target].detach()
            # A forward may write to buffers; parameters are those of our own copy of the model.
            self.tensors[n.name] = stored if spec.kind is InputKind.PARAMETER else stored.clone()
        else:
            raise ConversionError(f"{spec.target} is a {spec.kind.name.lower()}, which conversion does not support")
        self.values[n.name] = Ref(n.name)

    def _refuse_written_buffers(self, fx_nodes: list[torch.fx.Node]) -> None:
        """A forward that reads what an earlier forward wrote has a memory of its own."""
        signature = self.program.graph_signature
        written = {s.target for s in signature.output_specs if s.kind is OutputKind.BUFFER_MUTATION}
        targets = {s.arg.name: s.target for s in signature.input_specs if s.kind is InputKind.BUFFER}
        results = [
            a
            for a, s in zip(fx_nodes[-1].args[0], signature.output_specs, strict=True)  # type: ignore[arg-type]
            if s.kind is OutputKind.USER_OUTPUT and isinstance(a, torch.fx.Node)
        ]
        needed = _ancestors(results)
        for n in fx_nodes:
            if n.op == "placeholder" and targets.get(n.name) in written and n in needed:
                self.refused.append(
                    Refusal(
                        str(targets[n.name]),
                        "forward changes this buffer and uses it",
                        "take the state out of the network",
                    )
                )

    def _call(self, n: torch.fx.Node) -> None:
        path, kind = _origin(n)
        path, kind = self.labels.get(path, (path, kind))
        self.lines[n.name] = of_trace(n.meta.get("stack_trace"))
        target = n.target
        if isinstance(target, torch._ops.OpOverload):
            op = str(target)
        elif getattr(target, "__module__", "") in ("_operator", "math"):
            op = f"operator.{target.__name__}"  # type: ignore[union-attr]
        else:
            where = Node(n.name, "", (), {}, path, kind).where
            self.refused.append(
                Refusal(where, f"control flow or a custom operator ({target})", "write it with plain tensor operations")
            )
            self.values[n.name] = None
            return
        if _BOOKKEEPING.match(op):
            return
        args, kwargs = self._resolve(n.args), self._resolve(n.kwargs)
        if op in _IDENTITY or (_DROPOUT.match(op) and args[2] is False) or self._is_float_cast(op, n):
            self.values[n.name] = args[0]
            return
        value = n.meta.get("val")
        if op == "operator.getitem" and isinstance(n.args[0], torch.fx.Node) and not isinstance(value, Tensor):
            value = None
        shape = self._shape(value) if isinstance(value, Tensor) else None
        op = "aten.reshape.default" if op in _VIEWS else op
        if op == "aten.abs.default" and n.args[0].meta["val"].is_complex():  # type: ignore[union-attr]
            op, args = "aten.linalg_vector_norm.default", [self._parts(n, args[0], path, kind), 2, [-1]]
        whole = isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex())
        self.nodes.append(Node(n.name, op, tuple(args), dict(kwargs), path, kind, shape, whole=whole))
        self.values[n.name] = Ref(n.name)

    def _parts(self, n: torch.fx.Node, value: Any, path: str, kind: str) -> Ref:
        """The real and imaginary parts of the complex argument of ``n``, along a last axis: what has a size is real.

        An absolute value is otherwise spelled with ReLUs, which complex numbers do not have.
        """
        shape = self._shape(n.args[0].meta["val"])  # type: ignore[union-attr]
        whole, parts = f"{n.name}_resolved", f"{n.name}_parts"
        self.nodes.append(Node(whole, "aten.resolve_conj.default", (value,), {}, path, kind, shape))
        self.nodes.append(Node(parts, "aten.view_as_real.default", (Ref(whole),), {}, path, kind, (*shape, 2)))
        return Ref(parts)

    def _is_float_cast(self, op: str, n: torch.fx.Node) -> bool:
        """Whether the node casts between float types or moves to a device: the network is float32 throughout."""
        if not _CAST.match(op):
            return False
        before, after = n.args[0].meta["val"], n.meta["val"]  # type: ignore[union-attr]
        return bool(before.is_floating_point() and after.is_floating_point()) or before.dtype == after.dtype

    def _resolve(self, tree: Any) -> Any:
        if isinstance(tree, torch.fx.Node):
            return self.values[tree.name]
        if isinstance(tree, (list, tuple)):
            return [self._resolve(x) for x in tree]
        if isinstance(tree, dict):
            return {k: self._resolve(v) for k, v in tree.items()}
        return tree

    def _shape(self, value: Tensor) -> tuple[int | None, ...]:
        def axis(n: Any) -> int | None:
            if isinstance(n, int):
                return n
            same = not isinstance(self.batch, int) and n.node.expr == self.batch.node.expr
            return BATCH if same else DERIVED

        return tuple(axis(n) for n in value.shape)

    def _outputs(self, output: torch.fx.Node) -> list[Any]:
        found: list[Any] = []
        for arg, spec in zip(output.args[0], self.program.graph_signature.output_specs, strict=True):  # type: ignore[arg-type]
            if spec.kind is OutputKind.USER_OUTPUT:
                found.append(spec.arg.value if isinstance(spec.arg, ConstantArgument) else self._resolve(arg))
        return found


def labels(model: nn.Module) -> dict[str, tuple[str, str]]:
    """For modules that came from an ONNX file, the names that file gives them."""
    found = {}
    for path, module in model.named_modules():
        if isinstance(module, Step):
            parent = path.rpartition(".")[0]
            found[path] = (f"{parent}.{shown(module.label)}" if parent else shown(module.label), module.op_type)
    return found


def _ancestors(nodes: list[torch.fx.Node]) -> set[torch.fx.Node]:
    found: set[torch.fx.Node] = set()
    queue = list(nodes)
    while queue:
        n = queue.pop()
        if n not in found:
            found.add(n)
            queue.extend(n.all_input_nodes)
    return found


def _origin(n: torch.fx.Node) -> tuple[str, str]:
    """The innermost module of the user that the node comes from: its path and type name."""
    for path, kind in reversed(list((n.meta.get("nn_module_stack") or {}).values())):
        name = kind if isinstance(kind, str) else kind.__name__
        if "nn_module_stack" not in name:
            return printable(str(path)), printable(name.rsplit(".", 1)[-1])
    return "", ""
