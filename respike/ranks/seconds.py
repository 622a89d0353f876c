"""How long to wait, as the environment says it."""

from __future__ import annotations

import os

from ..errors import InputError


def seconds_of(variable: str, usual: float, zero: bool = False) -> float:
    """Seconds that a variable of the environment names.

    Args:
        variable: Its name.
        usual: What holds if it is not set.
        zero: Whether they may be 0.

    Raises:
        InputError: it is no number of seconds.
    """
    given = os.environ.get(variable, "")
    if not given:
        return usual
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not (0 < seconds < float("inf") or (zero and seconds == 0)):
        allowed = "0 or more" if zero else "above 0"
        raise InputError(f"{variable} must be a number of seconds{',' if zero else ''} {allowed}; got {given!r}")
    return seconds
