"""Attention as one node: queries, keys, values, and a mask."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..node_module import Call
from ..node_view import Node, NodeError
from ..operator_table import onnx_op


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    causal: bool = False,
    heads: tuple[int, int] | None = None,
    softcap: float = 0.0,
) -> Tensor:
    """softmax(q·kᵀ·scale + mask)·v.

    Args:
        query: ``(batch, heads, L, features)``, or ``(batch, L, heads · features)``.
        key: Likewise, with S places.
        value: Likewise.
        mask: Broadcasts to ``(batch, heads, L, S)``: truth values, or numbers that are added.
        scale: 1/√features if None.
        causal: Whether each query sees the keys up to its own place alone.
        heads: How many of queries, and of keys and values, where they are not an axis of their own.
        softcap: Scores are kept within it by a tanh; 0: they are not.
    """
    flat = query.dim() == 3
    if flat:
        if heads is None:
            raise ValueError("attention on three axes needs the numbers of heads")
        query, key, value = (
            x.unflatten(-1, (n, -1)).transpose(1, 2)
            for x, n in zip((query, key, value), (heads[0], heads[1], heads[1]), strict=True)
        )
    if causal:
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
        mask = seen if mask is None else _seen(mask, seen)
    if softcap:
        times = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(times, 1) if times > 1 else x for x in (key, value))
        scores = query * (query.shape[-1] ** -0.5 if scale is None else scale) @ key.transpose(-2, -1)
        scores = softcap * torch.tanh(scores / softcap)
        if mask is not None:
            scores = _seen(scores, mask) if mask.dtype is torch.bool else scores + mask
        found = torch.softmax(scores, -1) @ value
    else:
        grouped = query.shape[1] != key.shape[1]
        found = F.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=grouped)
    return found.transpose(1, 2).flatten(2) if flat else found


def _seen(x: Tensor, seen: Tensor) -> Tensor:
    """A mask or scores, with nothing of the places that are not seen."""
    return x & seen if x.dtype is torch.bool else x.masked_fill(~seen, -torch.inf)


@onnx_op("Attention")
def _attention(node: Node) -> Call:
    if node.given(4) or node.given(5) or node.given(6) or len(node.writes) > 1:
        raise NodeError("keeps keys and values for later calls, or gives its scores away", "export it without a cache")
    counts = (node.attr_int("q_num_heads"), node.attr_int("kv_num_heads"))
    node.attr_int("qk_matmul_output_mode")
    node.attr_int("softmax_precision", 1)
    options: dict[str, Any] = {
        "mask": node.x(3) if node.given(3) else None,
        "scale": node.attr_float("scale", 0.0) if node.has("scale") else None,
        "causal": node.attr_bool("is_causal"),
        "heads": counts if all(counts) else None,
        "softcap": node.attr_float("softcap", 0.0),
    }
    return node.call(attention, node.x(0), node.x(1), node.x(2), **options)
