"""How results are told: as tables, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from ..files import written_whole


def steps_worth_a_line(timesteps: int) -> list[int]:
    """Powers of two, and the last."""
    return sorted({2**k for k in range(timesteps.bit_length())} | {timesteps})


def plain(value: Any) -> Any:
    """The same in lists and numbers, which JSON can hold."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def as_json(found: Mapping[str, Any], path: str | PathLike[str] | None, indent: int | None = 1) -> str:
    """A result as JSON text, also written to ``path``, whole or not at all, if given."""
    text = json.dumps(found, indent=indent, allow_nan=False)
    if path is not None:
        with written_whole(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return text
