"""The values that leave the spiking part: what they are, and how calibration corrects them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from ..graph import BATCH, Graph, Node, Ref, Rewriter, map_leaves, rewrite
from ..graph.rules import Role
from .fold_scales import fold_scales
from .prune import prune


def readouts(graph: Graph) -> list[str]:
    """Names of the currents ``(N, C, ...)`` that an output or the head decodes.

    Spikes that leave the network as they are do not count: a correction could make them negative. Nor does what is
    static, and therefore exact.
    """
    read = set(graph.output_names())
    for node in graph.nodes:
        if node.role == Role.HEAD:
            read.update(node.refs)
    found = [n for n in graph.nodes if n.name in read & graph.timed and n.role == Role.LINEAR]
    return [n.name for n in found if n.shape and len(n.shape) > 1 and n.shape[0] is BATCH]


def correct_readouts(graph: Graph, missing: dict[str, Tensor]) -> Graph:
    """Add to each readout the constant current ``(1, C, ...)`` it misses; into a bias where there is one.

    Requires: roles. Ensures: the graph no longer computes the ANN's output, but the SNN's mean does.
    """
    corrected: dict[str, Ref] = {}

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.role == Role.HEAD:
            node = replace(node, args=map_leaves(swap, node.args), kwargs=map_leaves(swap, node.kwargs))
        ref = rewriter.keep(node)
        if node.name in missing:
            constant = rewriter.tensor(f"{node.name}_missing", missing[node.name])
            corrected[node.name] = rewriter.add(node, "aten.add.Tensor", ref, constant)
        return ref

    def swap(arg: Any) -> Any:
        return corrected.get(arg.name, arg) if isinstance(arg, Ref) else arg

    result = rewrite(graph, step)
    return prune(fold_scales(replace(result, outputs=[swap(o) for o in result.outputs])))
