"""Attention, written out as the operations that it is made of: projections, products, a softmax.

PyTorch has it as one function, whose arguments are three signals, and its module as another that puts the sequence
before the samples. Nothing in a graph may hide a product of two signals, and samples come first where they can.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def scaled_dot_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(q·kᵀ·scale + mask)·v, as PyTorch documents ``F.scaled_dot_product_attention``.

    Args:
        query: ``(..., L, E)``.
        key: ``(..., S, E)``.
        value: ``(..., S, V)``.
        attn_mask: Broadcasts to ``(..., L, S)``: True where a query sees a key, or numbers that are added.
        dropout_p: 0 in eval mode; otherwise attention is random and is left as it is.
        is_causal: Whether each query sees the keys up to its own place alone.
        scale: 1/√E if None.
        enable_gqa: Whether several heads of queries share one of keys and values.
    """
    if dropout_p:
        return NotImplemented
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
    softmax = torch.softmax if attn_mask is None else torch.ops.aten._safe_softmax  # 0 for a query that sees no key
    by = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * by
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        seen = attn_mask.dtype is torch.bool
        scores = scores.masked_fill(attn_mask.logical_not(), -math.inf) if seen else scores + attn_mask
    return torch.matmul(softmax(scores, -1), value)


class AttentionWrittenOut(TorchFunctionMode):
    """While it lasts, ``nn.MultiheadAttention`` is made of single operations that have the samples first."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is F.multi_head_attention_forward:
            given = _SIGNATURE.bind(*args, **(kwargs or {}))
            given.apply_defaults()
            found = _multi_head(**given.arguments)
            if found is not None:
                return found
        return function(*args, **(kwargs or {}))


_SIGNATURE = inspect.signature(F.multi_head_attention_forward)


def _multi_head(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> tuple[Tensor, Tensor | None] | None:
    """What ``F.multi_head_attention_forward`` gives; None for its rarer options, which it works out itself."""
    rare = ("bias_k", "bias_v", "static_k", "static_v")
    random = given["training"] and given["dropout_p"] > 0
    if query.dim() != 3 or random or given["add_zero_attn"] or any(given[name] is not None for name in rare):
        return None
    heads, length = given["num_heads"], query.shape[2]
    biases = [None] * 3 if given["in_proj_bias"] is None else given["in_proj_bias"].chunk(3)
    if given["use_separate_proj_weight"]:
        weights = [given[f"{name}_proj_weight"] for name in "qkv"]
    else:
        weights = given["in_proj_weight"].chunk(3)
    q, k, v = (
        F.linear(x.transpose(0, 1), weight, bias).unflatten(-1, (heads, -1)).transpose(1, 2)
        for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )  # (samples, heads, places, features)
    scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(length // heads)
    mask, padding = given["attn_mask"], given["key_padding_mask"]
    if mask is None and given["is_causal"]:
        return None
    if mask is not None:
        mask = mask.unflatten(0, (-1, heads)) if mask.dim() == 3 else mask
        scores = _masked(scores, mask)
    if padding is not None:
        scores = _masked(scores, padding[:, None, None, :])
    shares = torch.softmax(scores, -1)
    mixed = torch.matmul(shares, v).transpose(1, 2).flatten(2)
    out = F.linear(mixed, given["out_proj_weight"], given["out_proj_bias"]).transpose(0, 1)
    if not given["need_weights"]:
        return out, None
    return out, shares.mean(1) if given["average_attn_weights"] else shares


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """A mask of ``nn.MultiheadAttention`` is True where a query does not see a key."""
    return scores.masked_fill(mask, -math.inf) if mask.dtype is torch.bool else scores + mask


@contextmanager
def without_fast_path() -> Iterator[None]:
    """``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer`` compute what their Python code says."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
