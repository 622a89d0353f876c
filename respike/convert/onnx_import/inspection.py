"""What is in an ONNX file, and what each node would become, before any calibration."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...text import shown, table
from .. import checks
from ..errors import ConversionError, Refusal
from ..graph import Graph
from ..graph.rules import LINEAR, Role
from ..passes import track
from ..passes.roles import objection, verdicts
from ..tracing.copy_model import prepare
from ..tracing.normal_form import to_graph
from .module import OnnxModule, example
from .node_module import Step


@dataclass(frozen=True)
class NodeVerdict:
    """One node of the file.

    Attributes:
        name: Its own name, or its operator and place.
        op_type: Its operator.
        verdict: What it becomes: spiking neurons, synapses, linear, maximum, function, product, head, constant, folded,
            unused, refused, or imported where the file leaves too much open to say.
        why: For the refused, the reason.
    """

    name: str
    op_type: str
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Inspection:
    """An ONNX file at a glance.

    Attributes:
        file: Its name.
        exporter: What wrote it.
        opsets: Operator set by domain.
        inputs: Name, type and shape of each, ``?`` for what is left open.
        outputs: Names of the file's outputs.
        operators: How often each operator occurs.
        nodes: What each node becomes.
        judged: The outputs that the verdicts are for.
        problem: Why the network cannot be converted as it is; ``""`` if it can.
    """

    file: str
    exporter: str
    opsets: dict[str, int]
    inputs: list[str]
    outputs: list[str]
    operators: dict[str, int]
    nodes: list[NodeVerdict]
    judged: list[str]
    problem: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        sets = ", ".join(f"{domain} {version}" for domain, version in self.opsets.items())
        names = f"--outputs {','.join(self.judged)}"
        lines = [
            f"{self.file}: written by {self.exporter}; operator set {sets}",
            f"inputs:  {', '.join(self.inputs)}",
            f"outputs: {', '.join(self.outputs)}" + (f"; judged for {names}" if self.judged != self.outputs else ""),
            "operators: " + ", ".join(f"{op} {n}" for op, n in self.operators.items()),
            "",
        ]
        lines += table((n.name, n.op_type, n.verdict) for n in self.nodes)
        lines += ["", self.problem or "converts"]
        return "\n".join(lines)


def inspect_onnx(
    path: str | os.PathLike[str], *, outputs: Sequence[str] | None = None, shape: Sequence[int] | None = None
) -> Inspection:
    """The contents of an ONNX file, and what each node would become, before any calibration.

    Args:
        path: The file.
        outputs: As for ``load_onnx``.
        shape: The shape of one sample of the first input, where the file leaves it open.

    Raises:
        ConversionError: the file cannot be read at all. A network that can be read and not converted is
            described, with the reasons.
    """
    # onnx is imported by whoever calls, not by who imports respike.
    from .build import load
    from .choose_outputs import suggested
    from .read_file import opsets, read

    checks.path("path", path)
    outputs = None if outputs is None else checks.names("outputs", outputs)
    model = read(path)
    graph: Graph | None = None
    refused: Sequence[Refusal] = ()
    net: OnnxModule | None = None
    problem = ""
    names = [o.name for o in model.graph.output]
    judged = list(outputs) if outputs is not None else suggested(model.graph) or names
    try:
        net = load(path, judged)
        sample = example(net, shape)
        if sample is None:
            problem = "the file leaves the input's shape open: give the shape of one sample to judge the nodes"
        else:
            graph, refused = verdicts(track(to_graph(prepare(net), sample)))
            problem = str(objection(graph, refused) or "")
    except ConversionError as error:
        refused, problem = error.refusals, str(error)
    return Inspection(
        Path(path).name,
        " ".join(filter(None, (shown(model.producer_name), shown(model.producer_version)))) or "an unnamed exporter",
        {domain or "ai.onnx": version for domain, version in opsets(model).items()},
        [_shape(value) for value in model.graph.input if value.name not in {t.name for t in model.graph.initializer}],
        [shown(name) for name in names],
        dict(Counter(shown(n.op_type) for n in model.graph.node).most_common()),
        _nodes(model.graph.node, net, graph, refused),
        [shown(name) for name in judged],
        problem,
    )


def _nodes(protos: Any, net: OnnxModule | None, graph: Graph | None, refused: Sequence[Refusal]) -> list[NodeVerdict]:
    from .node_order import label

    steps = {step.label: step for step in net.steps()} if net is not None else {}
    reasons: dict[str, str] = {}
    for refusal in refused:
        reasons.setdefault(refusal.where, refusal.why)
    found = []
    for index, proto in enumerate(protos):
        name = label(proto, index)
        where = f"{shown(name)} ({shown(proto.op_type)})"
        if where in reasons:
            verdict = "refused"
        elif net is None:
            verdict = "not looked at"
        elif name not in steps:
            verdict = net.fates.get(name, "not needed for the outputs")
        else:
            verdict = _verdict(steps[name], graph)
        found.append(NodeVerdict(shown(name), shown(proto.op_type), verdict, reasons.get(where, "")))
    return found


_WORDS = {
    Role.SPIKE: "spiking neurons",
    Role.MAX: "maximum of the sums over time",
    Role.FUNCTION: "function of the mean so far, sent by increments",
    Role.PRODUCT: "product of the sums so far, sent by increments",
    Role.HEAD: "head, on the decoded output",
    Role.LINEAR: "linear, on the current of each step",
    Role.STATIC: "computed once, from the input alone",
    Role.CONSTANT: "constant",
    Role.SHAPE: "shape arithmetic",
}
_BEHIND = "; neurons of either sign behind it"


def _verdict(step: Step, graph: Graph | None) -> str:
    if graph is None:
        return "imported"
    mine = [n for n in graph.nodes if n.path == shown(step.label) and n.kind == step.op_type]
    roles = {n.role for n in mine}
    if not mine:
        return _WORDS[Role.SHAPE] if step.numbers else "folded into its neighbours"
    neurons = _BEHIND if any(n.role == Role.SPIKE and n.kwargs.get("two_sided") for n in mine) else ""
    if neurons:
        roles = {n.role for n in mine if n.role != Role.SPIKE}
    weighted = any(n.op in LINEAR and LINEAR[n.op].weighted and n.role != Role.PRODUCT for n in mine)
    if weighted and Role.SPIKE not in roles:
        return f"synapses{neurons}" if Role.HEAD not in roles else _WORDS[Role.HEAD]
    return next((word for role, word in _WORDS.items() if role in roles), _WORDS[Role.SPIKE]) + neurons


def _shape(value: Any) -> str:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return f"{shown(value.name)} (of any shape)"
    axes = [d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in tensor.shape.dim]
    return f"{shown(value.name)} ({', '.join(shown(a) for a in axes)})"
