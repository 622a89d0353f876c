"""Spell batch norm in eval mode as what it is: a factor and a summand per channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..graph import Graph, Node, Rewriter, rewrite

_EVAL = "aten._native_batch_norm_legit_no_training.default"
_GENERAL = "aten.batch_norm.default"


def spell_batch_norm(graph: Graph) -> Graph:
    """Y = (x − mean) / sqrt(var + eps) · weight + bias.

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
        # In float32 and in this order by numpy, whose every operation is rounded as IEEE 754 says: exporters
        # that fold batch norms do the same, so a module and its ONNX file get the same weights to the last bit.
        mu, sigma2 = (tensors[r.name].float().cpu().numpy() for r in (mean, var))
        gamma, beta = (None if r is None else tensors[r.name].float().cpu().numpy() for r in (weight, bias))
        scale = (1 if gamma is None else gamma) / np.sqrt(sigma2 + np.float32(eps))
        shift = (0 - mu) * scale + (0 if beta is None else beta)
        shape = rewriter.shape(x.name)
        across = [-1] + [1] * (len(shape) - 2)
        factor = rewriter.tensor(f"{node.name}_scale", torch.from_numpy(scale).to(tensors[var.name]).reshape(across))
        summand = rewriter.tensor(f"{node.name}_shift", torch.from_numpy(shift).to(tensors[var.name]).reshape(across))
        scaled = rewriter.add(node, "aten.mul.Tensor", x, factor, shape=shape)
        result = rewriter.add(node, "aten.add.Tensor", scaled, summand, shape=shape)
        spelled.add(result.name)
        return result

    return rewrite(graph, step)
