"""Names for submodules: identifiers, whatever the file calls its nodes."""

from __future__ import annotations

import keyword
import re

from torch import nn

from . import limits

_RESERVED = frozenset(dir(nn.Module())) | {"inputs", "outputs", "steps", "fates", "batch", "squeezed"}


def identifier(name: str, taken: dict[str, int]) -> str:
    """``name`` as ``[A-Za-z0-9_]``, not a Python keyword, not an attribute of a module, not in ``taken``.

    A name of the file's must never reach generated code as it is: tracers write Python with it. The result
    is added to ``taken``, which counts how often a name was wanted.
    """
    safe = re.sub(r"[^A-Za-z0-9]+", "_", name[: 4 * limits.NAME_LENGTH]).strip("_")[: limits.NAME_LENGTH] or "node"
    if safe[0].isdigit():
        safe = f"n{safe}"
    if keyword.iskeyword(safe) or keyword.issoftkeyword(safe) or safe in _RESERVED:
        safe = f"{safe}_"
    found = safe
    while found in taken:  # the counter spares a walk past all that have the name already
        taken[safe] += 1
        found = f"{safe}_{taken[safe]}"
    taken[found] = 1
    return found
