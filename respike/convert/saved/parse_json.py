"""JSON of a file as plain values, each number and string of which is one that a network may have."""

from __future__ import annotations

import json
import math
from typing import Any

from ...text import shown
from ..errors import FormatError
from . import limits


def plain(text: str) -> Any:
    """What a JSON text holds.

    Raises:
        FormatError: it is not JSON, or there is in it a key twice, a number that is not finite or beyond 64 bits, a
            text that cannot be printed on one line, or more lists in lists than networks have.
    """
    if len(text) > limits.TEXT:
        raise FormatError(f"its graph has {len(text):,} characters; the most that is read is {limits.TEXT:,}")
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"its graph is not JSON: {shown(str(error))}") from error
    _check(value)
    return value


def _check(value: Any) -> None:
    """Raise for what no network holds. Not recursive, as the depth is what is looked at."""
    level = [value]
    for _ in range(limits.JSON_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not (item.isprintable() and len(item) <= limits.STRING):
                raise FormatError(
                    f"it holds the text {shown(item)!r}; texts have at most {limits.STRING:,} characters, "
                    "all of them printable"
                )
        if not below:
            return
        level = below
    raise FormatError(f"its graph is nested more than {limits.JSON_DEPTH} deep")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("a key is repeated in its graph")
    return found


def _no_number(text: str) -> Any:
    raise FormatError(f"its graph holds {shown(text, 30)}, which is not a finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _whole(text: str) -> int:
    if len(text) <= 20 and -(2**63) <= int(text) < 2**63:
        return int(text)
    raise FormatError(f"its graph holds {shown(text, 30)}; whole numbers must be from -2^63 to 2^63 - 1")
