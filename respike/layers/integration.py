"""How a leaky membrane is stepped through time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor

from ..errors import InputError
from . import equations

Integration = Literal["euler", "exponential"]
"""``"euler"``: forward Euler, what textbooks type in. ``"exponential"``: the exact solution over one step."""

STEPS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "euler": equations.euler_step,
    "exponential": equations.exponential_step,
}


def check_integration(integration: str, ratio: Tensor, advice: str) -> Any:
    """The step function of that name; ``ratio`` is Δt/τ.

    Raises:
        ValueError: unknown, or forward Euler with a timestep longer than the time constant.
    """
    if integration not in STEPS:
        raise InputError(f"integration must be one of {', '.join(STEPS)}; got {integration!r}")
    if integration == "euler" and bool((ratio > 1).any()):
        raise InputError(
            f"forward Euler overshoots when the timestep is longer than the time constant (here {ratio.max():.3g} "
            f"times): {advice}, or take integration='exponential'"
        )
    return STEPS[integration]
