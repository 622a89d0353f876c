"""A signal compared with a number, in any spelling."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..graph import Ref, Rewriter
from .constants import constant


def comparison(rewriter: Rewriter, condition: Any) -> tuple[Ref, Tensor | float, bool] | None:
    """``x > c`` as (x, c, True) and ``x < c`` as (x, c, False); equality does not matter here."""
    node = rewriter.find(condition)
    if node is None or node.op.split(".")[1] not in ("gt", "ge", "lt", "le"):
        return None
    positive = node.op.split(".")[1][0] == "g"
    x, limit = node.args
    if constant(rewriter, x) is not None:
        x, limit, positive = limit, x, not positive
    value = constant(rewriter, limit)
    return None if value is None or not isinstance(x, Ref) else (x, value, positive)
