"""From one step as a module to one step as an ONNX graph, by PyTorch's exporter."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ...errors import ConversionError, Refusal
from ...graph import BATCH, Graph, Node, Ref, map_leaves
from ...graph.rules import Role, short
from ...run.simulator import Simulator
from .names import named_as, unused
from .one_step import OneStep
from .spellings import spelled

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""The operator set that is written: PyTorch's own, which onnxruntime knows from 1.14 on."""
_BATCH = 3
"""Samples in the trace: 1 would be taken for a constant."""


def check_packages() -> None:
    """Raise if what PyTorch's exporter needs is missing.

    Raises:
        ConversionError: names the package and the extra that brings it.
    """
    if find_spec("onnxscript") is None:
        raise ConversionError(
            "writing ONNX files needs the package onnxscript, which is not installed; "
            "pip install 'respike[onnx-export]' brings it"
        )


def example_inputs(graph: Graph) -> list[Tensor]:
    """For each input a tensor that the graph takes: zeros, which are places in every table too."""
    return [
        torch.zeros([_BATCH if n is BATCH else n for n in shape], dtype=graph.integers.get(name, torch.float32))
        for name, shape in graph.inputs.items()
    ]


def traced(snn: Simulator, from_zero: bool) -> tuple[onnx.ModelProto, OneStep]:
    """One step as an ONNX model, and the module that it was made from.

    Its inputs are the network's and then the states, ``state.NAME``; its outputs the network's and then the states
    behind the step, ``next_state.NAME``, in the same order.

    Args:
        snn: The network, synchronous.
        from_zero: See ``OneStep``.

    Raises:
        ConversionError: operations that cannot be exported, all of them named.
    """
    inputs = example_inputs(snn.graph)
    step = OneStep(snn, inputs, from_zero).eval()
    batch = torch.export.Dim("batch", min=1)
    shapes = [dict.fromkeys(axes_of_batch(shape), batch) for shape in snn.graph.inputs.values()]
    states = [x.clone() for x in step.initial.values()]
    names_in = [*snn.graph.inputs, *map(before, step.initial)]
    states_out = [*map(after, step.initial)]
    names_out = [*output_names(snn.graph, step.outputs, [*names_in, *states_out]), *states_out]
    try:
        with torch.no_grad():
            program = torch.export.export(
                step, (*inputs, *states), dynamic_shapes=((*shapes, *[None] * len(states)),), strict=False
            )
            found = _exported(program)
    except Exception as error:  # the exporter has many kinds of them
        raise _refused(snn, error) from error
    del found.graph.value_info[:]  # true where states have the length 1 along an axis, as in the trace
    for given, left in zip(found.graph.input[len(inputs) :], found.graph.output[len(step.outputs) :], strict=True):
        given.type.CopyFrom(left.type)
    places = [value.name for value in [*found.graph.input, *found.graph.output]]
    named_as(found.graph, dict(zip(places, [*names_in, *names_out], strict=True)))
    _name_batch(found, snn.graph)
    return found, step


def before(state: str) -> str:
    """Name of the input of a state."""
    return f"state.{state}"


def after(state: str) -> str:
    """Name of its output."""
    return f"next_state.{state}"


def _name_batch(model: onnx.ModelProto, graph: Graph) -> None:
    """Call the length that stands for the batch size so, in each place that has it."""
    places = zip(model.graph.input, graph.inputs.values(), strict=False)
    symbols = {value.type.tensor_type.shape.dim[k].dim_param for value, shape in places for k in axes_of_batch(shape)}
    for value in [*model.graph.input, *model.graph.output]:
        for length in value.type.tensor_type.shape.dim:
            for symbol in symbols if length.dim_param else ():
                length.dim_param = re.sub(rf"\b{symbol}\b", "batch", length.dim_param)


def axes_of_batch(shape: tuple[int | None, ...]) -> list[int]:
    """The axes whose length is the batch size."""
    return [k for k, n in enumerate(shape) if n is BATCH]


def output_names(graph: Graph, kept: list[int], taken: list[str]) -> list[str]:
    """A name for each output that is kept: ``output``, ``output_0``, or the key in a dict."""
    tree = pytree.tree_unflatten(list(range(len(graph.outputs))), graph.out_spec)
    paths, _ = pytree.tree_flatten_with_path(tree)
    names: list[str] = []
    for path, k in paths:
        if k not in kept:
            continue
        parts = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path]
        name = "_".join(parts if parts and not parts[0].isdecimal() else ["output", *parts])
        names.append(unused(name or "output", [*names, *taken]))
    return names


def _exported(program: torch.export.ExportedProgram) -> onnx.ModelProto:
    # Names of its own, as it does not see to it that ours are different from all others.
    names = [[f"{kind}.{k}" for k in range(len(found))] for kind, found in (
        ("given", program.graph_signature.user_inputs), ("found", program.graph_signature.user_outputs)
    )]  # fmt: skip
    made: Any = torch.onnx.export(
        program, dynamo=True, opset_version=OPSET, input_names=names[0], output_names=names[1], verbose=False
    )
    model: onnx.ModelProto = made.model_proto
    return model


def _refused(snn: Simulator, error: Exception) -> ConversionError:
    """Which operations cannot be exported: each is tried by itself."""
    refusals = [
        Refusal(
            node.where,
            f"PyTorch's exporter has no ONNX for {short(node.op)}",
            "use another operation there, or run the network as snn.to_module() in PyTorch",
        )
        for node in _failing(snn)
    ]
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    what = "this network cannot be written as an ONNX file"
    return ConversionError(f"{what}:" if refusals else f"{what}; PyTorch's exporter says: {reason}", refusals)


class _Alone(nn.Module):
    """One operation, of the values that vary or come in."""

    def __init__(self, node: Node, graph: Graph, others: dict[str, Any]) -> None:
        super().__init__()
        self.node, self.function, self.others = node, spelled(node, graph), others

    def forward(self, *given: Tensor) -> Any:
        values = iter(given)
        named = {name: next(values) for name in dict.fromkeys(self.node.refs) if name not in self.others}

        def fetch(arg: Any) -> Any:
            return arg if not isinstance(arg, Ref) else named.get(arg.name, self.others.get(arg.name))

        return self.function(*map_leaves(fetch, list(self.node.args)), **map_leaves(fetch, self.node.kwargs))


def _failing(snn: Simulator) -> list[Node]:
    """The operations that fail alone; each kind is tried once."""
    env: dict[str, Any] = {
        **snn.held_graph().tensors,
        **dict(zip(snn.graph.inputs, example_inputs(snn.graph), strict=True)),
    }
    failing, works = [], {}
    for node in snn.graph.nodes:
        others = {name: env[name] for name in node.refs if not isinstance(env[name], Tensor)}
        alone = _Alone(node, snn.graph, others)
        given = tuple(env[name] for name in dict.fromkeys(node.refs) if name not in others)
        with torch.no_grad():
            env[node.name] = alone(*given)
        if node.role in (Role.SPIKE, Role.SHAPE) or node.op.startswith("operator.") or not given:
            continue
        kind = f"{node.op} {map_leaves(lambda a: '' if isinstance(a, Ref) else a, [*node.args, node.kwargs])}"
        if kind not in works:
            works[kind] = _works(alone, given)
        if not works[kind]:
            failing.append(node)
    return failing


def _works(alone: _Alone, given: tuple[Tensor, ...]) -> bool:
    try:
        with torch.no_grad():
            program = torch.export.export(alone, given, strict=False)
            _exported(program)
    except Exception:  # as above
        return False
    return True
