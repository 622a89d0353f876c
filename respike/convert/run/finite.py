"""Inputs that are no numbers: found before anything is computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..graph import BATCH


def check_finite(inputs: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int | None]]) -> None:
    """Refuse NaN and infinity: neurons would go on as if nothing were there, and give a confident answer.

    That is one pass over the inputs.

    Args:
        inputs: By name, in the type in which they are used.
        shapes: Their shapes, as in ``graph.Graph``.

    Raises:
        ValueError: an input that is not finite; it says which, and in how many samples.
    """
    for name, x in inputs.items():
        if not x.is_floating_point() or not x.numel() or x.is_meta:
            continue
        low, high = torch.aminmax(x)
        if bool((low.isfinite() & high.isfinite()).cpu()):
            continue
        bad = ~x.isfinite()
        where = ""
        if BATCH in shapes[name]:
            axis = list(shapes[name]).index(BATCH)
            rows = bad.movedim(axis, 0).reshape(x.shape[axis], -1).any(1).nonzero().flatten().tolist()
            where = f" in {len(rows):,} of {x.shape[axis]:,} samples (the first is number {rows[0]}, counted from 0)"
        raise ValueError(
            f"the input {name!r} holds NaN, infinity or numbers beyond {str(x.dtype).removeprefix('torch.')}{where}; "
            "leave these samples out, or replace the values"
        )
