"""Operations made of others: written out as those when a model is traced, so that the table needs no line for them.

``torch.diff`` is a difference of two slices, ``torch.outer`` a product, ``torch.lerp`` a weighted sum. What they are
made of is linear in time, or refused, for its own reasons.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions

from .attention import scaled_dot_product

_COMPOUNDS = (
    "diff take_along_dim kron tensordot outer ger inner addmv addr dot trace linalg_vecdot "
    "cross linalg_cross addcdiv lerp fliplr flipud hstack vstack dstack column_stack block_diag unsafe_split "
    "broadcast_tensors trapezoid cumulative_trapezoid sum_to_size deg2rad rad2deg true_divide atleast_1d "
    "atleast_2d atleast_3d"
)


@cache
def compounds() -> dict[Any, Callable[..., Any]]:
    """By operation the function that writes it out, as ``ExportedProgram.run_decompositions`` takes it."""
    overloads = [
        getattr(packet, name)
        for short in _COMPOUNDS.split()
        for packet in [getattr(torch.ops.aten, short)]
        for name in packet.overloads()
    ]
    overloads = [op for op in overloads if not op._schema.is_mutable]
    known: Any = {**torch.export.default_decompositions(), **get_decompositions(overloads)}
    found = {op: known[op] for op in overloads if op in known}
    aten = torch.ops.aten
    return {
        **found,
        aten.addcmul.default: _addcmul,
        aten.addbmm.default: _addbmm,
        aten.bilinear.default: _bilinear,
        aten.glu.default: _glu,
        aten.linalg_multi_dot.default: lambda factors: reduce(torch.matmul, factors),
        aten.linalg_vector_norm.default: _vector_norm,
        aten.scaled_dot_product_attention.default: scaled_dot_product,
        aten.masked_fill.Tensor: lambda x, mask, value: torch.where(mask, value, x),
    }


def _addcmul(x: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    return x + a * b if value == 1 else x + a * b * value


def _glu(x: Tensor, dim: int = -1) -> Tensor:
    values, gates = x.chunk(2, dim)
    return values * gates.sigmoid()


def _addbmm(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return beta * x + alpha * torch.bmm(a, b).sum(0)


def _bilinear(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = torch.matmul(a, weight.transpose(0, 1).flatten(1)).unflatten(-1, (weight.shape[0], weight.shape[2]))
    found = torch.matmul(rows, b.unsqueeze(-1)).squeeze(-1)
    return found if bias is None else found + bias


def _vector_norm(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """A sum or a maximum of absolute values; every other norm is curved and stays what it is."""
    order, dim, keepdim = (*args, *(2, None, False)[len(args) :])[:3]
    if kwargs.get("dtype") is not None or x.is_complex() or order not in (1, math.inf):
        return NotImplemented
    axes = list(range(x.dim())) if dim is None else dim
    return x.abs().sum(axes, keepdim) if order == 1 else x.abs().amax(axes, keepdim)
