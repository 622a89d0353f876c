"""Spell batch norm in eval mode as what it is: a factor and a summand per channel."""

from __future__ import annotations

from typing import Any

import torch

from ..graph import Graph, Node, Rewriter

_EVAL = "aten._native_batch_norm_legit_no_training.default"
_GENERAL = "aten.batch_norm.default"


def spell_batch_norm(graph: Graph) -> Graph:
    """Y = (x − mean) / sqrt(var + eps) · weight + bias, computed in float64.

    Requires: weights folded to constants. Ensures: no batch norm with running statistics is left.
    """
    spelled: set[str] = set()

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.op == "operator.getitem" and node.args[0].name in spelled:
            return node.args[0] if node.args[1] == 0 else None
        if node.op == _EVAL:
            x, weight, bias, mean, var, _, eps = node.args
        elif node.op == _GENERAL and node.args[5] is False:
            x, weight, bias, mean, var, _, _, eps, _ = node.args
        else:
            return rewriter.keep(node)
        tensors = rewriter.tensors
        if not all(r is None or r.name in tensors for r in (weight, bias, mean, var)):
            return rewriter.keep(node)
        scale = torch.rsqrt(tensors[var.name].double() + eps)
        if weight is not None:
            scale = scale * tensors[weight.name].double()
        shift = -tensors[mean.name].double() * scale
        if bias is not None:
            shift = shift + tensors[bias.name].double()
        shape = rewriter.shape(x.name)
        across = [-1] + [1] * (len(shape) - 2)
        factor = rewriter.tensor(f"{node.name}_scale", scale.float().reshape(across))
        summand = rewriter.tensor(f"{node.name}_shift", shift.float().reshape(across))
        scaled = rewriter.add(node, "aten.mul.Tensor", x, factor, shape=shape)
        result = rewriter.add(node, "aten.add.Tensor", scaled, summand, shape=shape)
        spelled.add(result.name)
        return result

    return graph.rewrite(step)
